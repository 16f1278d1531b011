"""What vcrpy's `use_cassette` gives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from respool.cassette import clients, guard
from respool.cassette.open_decks import Opened
from respool.compat.vcr.cassette import Cassette


class CassetteContextDecorator:
    """What `use_cassette` gives: a context manager, and a decorator of functions, coroutines and generators."""

    def __init__(self, arguments: Callable[[], dict[str, Any]]) -> None:
        self._arguments = arguments
        self._used: tuple[Cassette, Opened, bool] | None = None

    def __enter__(self) -> Cassette:
        if self._used is not None:
            raise AssertionError("Cassette already open.")
        arguments = self._arguments()
        transformer = arguments.pop("path_transformer")
        arguments.pop("func_path_generator")
        keep_anyway = arguments.pop("record_on_exception")
        if "path" not in arguments:
            raise TypeError("use_cassette() needs a path in a with block: only a decorator has a function's name")
        arguments["path"] = transformer(arguments["path"])
        clients.install()
        guard.watch()
        cassette = Cassette(**arguments)
        opened = Opened(cassette.deck)
        opened.enter()
        self._used = cassette, opened, keep_anyway
        return cassette

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        assert self._used is not None
        (cassette, opened, keep_anyway), self._used = self._used, None
        opened.end()
        cassette.deck.close()
        if kind is None or keep_anyway:
            cassette.save()

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def _named(self, function: Callable[..., Any]) -> CassetteContextDecorator:
        def arguments() -> dict[str, Any]:
            given = self._arguments()
            if "path" not in given:
                generator = given["func_path_generator"] or (lambda each: each.__name__)
                given["path"] = generator(function)
            return given

        return type(self)(arguments)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Each call of the function is in a cassette of its own; `inject_cassette` puts it before the arguments."""

        def given(cassette: Cassette, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            return (cassette, *arguments) if cassette.inject else arguments

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded(*args: Any, **kwargs: Any) -> Any:
                with self._named(function) as cassette:
                    return await function(*given(cassette, args), **kwargs)

            return recorded
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generated(*args: Any, **kwargs: Any) -> Any:
                with self._named(function) as cassette:
                    return (yield from function(*given(cassette, args), **kwargs))

            return generated

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._named(function) as cassette:
                return function(*given(cassette, args), **kwargs)

        return called
