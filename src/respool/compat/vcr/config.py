"""vcrpy's VCR object: the defaults of many cassettes."""

from __future__ import annotations

import inspect
import os
import re
import types
from collections.abc import Callable, Iterable
from typing import Any

from respool.compat.vcr import filters
from respool.compat.vcr.cassette import Pipeline
from respool.compat.vcr.context import CassetteContextDecorator
from respool.compat.vcr.matchers import BUILT_IN, Matcher
from respool.compat.vcr.persisters.filesystem import FilesystemPersister
from respool.compat.vcr.record_mode import RecordMode, validate_record_mode
from respool.compat.vcr.request import Request
from respool.compat.vcr.serializers import jsonserializer
from respool.errors import UsageError

_LOCAL = ("localhost", "0.0.0.0", "127.0.0.1", "::1")
_DEFAULTS: dict[str, Any] = {
    "path_transformer": None, "before_record_request": None, "custom_patches": (), "filter_query_parameters": (),
    "ignore_hosts": (), "record_mode": RecordMode.ONCE, "ignore_localhost": False, "filter_headers": (),
    "before_record_response": None, "filter_post_data_parameters": (), "filter_nested_post_data_parameters": False,
    "match_on": ("method", "scheme", "host", "port", "path", "query"), "inject_cassette": False, "serializer": "yaml",
    "cassette_library_dir": None, "func_path_generator": None, "decode_compressed_response": False,
    "record_on_exception": True, "drop_unused_requests": False, "filter_sensitive_data": (),
    "before_save_interaction": None, "after_load_interaction": None, "skip_patchers": (),
}  # fmt: skip
_PER_CASSETTE = ("path", "allow_playback_repeats", "additional_matchers", "persister", "before_record", "allowed_hosts")


class VCR:
    """vcrpy's options, kept for the cassettes it opens; each may be given again to `use_cassette`.

    `custom_patches` are refused: nothing is patched per cassette here. Raises UsageError for an option vcrpy has not.
    """

    def __init__(self, **options: Any) -> None:
        if "before_record" in options:
            options.setdefault("before_record_request", options.pop("before_record"))
        _known(options, _DEFAULTS)
        self.__dict__.update({**_DEFAULTS, **options})
        self.record_mode = validate_record_mode(self.__dict__["record_mode"])
        self.serializers: dict[str, Any] = {"json": jsonserializer}
        self.matchers: dict[str, Matcher] = dict(BUILT_IN)
        self.persister: Any = FilesystemPersister

    @staticmethod
    def is_test_method(method_name: str, function: Any) -> bool:
        """Whether `test_case` puts this method into a cassette."""
        return method_name.startswith("test") and isinstance(function, types.FunctionType)

    @staticmethod
    def ensure_suffix(suffix: str) -> Callable[[str | os.PathLike[str]], str]:
        """A path transformer that adds a suffix where it is missing."""

        def ensured(path: str | os.PathLike[str]) -> str:
            text = os.fspath(path)
            return text if text.endswith(suffix) else text + suffix

        return ensured

    def use_cassette(self, path: Any = None, **options: Any) -> Any:
        """A cassette for a `with` block or as a decorator, with or without arguments."""
        if path is not None and not isinstance(path, (str, os.PathLike)):
            return self.use_cassette(**options)(path)
        current = options.pop("with_current_defaults", False)
        _known(options, {**_DEFAULTS, **dict.fromkeys(_PER_CASSETTE)})
        if path is not None:
            options["path"] = path
        if current:
            settled = self.get_merged_config(**options)
            return CassetteContextDecorator(lambda: settled)
        # Asked again at each use, so that what is registered later still counts.
        return CassetteContextDecorator(lambda: self.get_merged_config(**options))

    def register_serializer(self, name: str, serializer: Any) -> None:
        """Make a serialiser known by name."""
        self.serializers[name] = serializer

    def register_matcher(self, name: str, matcher: Matcher) -> None:
        """Make a matcher known by name."""
        self.matchers[name] = matcher

    def register_persister(self, persister: Any) -> None:
        """Load and save through this object from now on."""
        self.persister = persister

    def get_merged_config(self, **options: Any) -> dict[str, Any]:
        """What a cassette is opened with: the options given, over those of this object."""

        def of(name: str) -> Any:
            return options.get(name, getattr(self, name))

        if of("custom_patches"):
            raise UsageError("custom_patches are not supported", why="clients are patched once per process, not per cassette")
        names = (*of("match_on"), *options.get("additional_matchers", ()))
        for name in names:
            if name not in self.matchers:
                raise KeyError(f"Matcher {name} doesn't exist or isn't registered")
        merged = {
            "serializer": self._serializer(of("serializer")), "persister": options.get("persister", self.persister),
            "match_on": names, "own_matchers": self._own_matchers(names),
            "record_mode": validate_record_mode(of("record_mode")), "pipeline": self._pipeline(of, options),
            "inject": of("inject_cassette"), "path_transformer": self._transformer(of),
            "func_path_generator": self._generator(of), "record_on_exception": of("record_on_exception"),
            "allow_playback_repeats": options.get("allow_playback_repeats", False),
            "drop_unused_requests": of("drop_unused_requests"),
        }  # fmt: skip
        if options.get("path"):
            merged["path"] = options["path"]
        return merged

    def test_case(self, predicate: Callable[[str, Any], bool] | None = None) -> type:
        """A base class whose subclasses' test methods each run in a cassette."""
        chosen, vcr = predicate or self.is_test_method, self

        class Recorded:
            def __init_subclass__(cls, **kwargs: Any) -> None:
                super().__init_subclass__(**kwargs)
                for name, value in list(vars(cls).items()):
                    if chosen(name, value):
                        setattr(cls, name, vcr.use_cassette(value))

        return Recorded

    def _own_matchers(self, names: Iterable[str]) -> dict[str, Matcher]:
        return {name: self.matchers[name] for name in names if self.matchers[name] is not BUILT_IN.get(name)}

    def _serializer(self, name: str) -> Any:
        if name == "yaml" and name not in self.serializers:
            from respool.compat.vcr.serializers import yamlserializer

            self.serializers[name] = yamlserializer
        try:
            return self.serializers[name]
        except KeyError:
            raise KeyError(f"Serializer {name} doesn't exist or isn't registered") from None

    def _transformer(self, of: Callable[[str], Any]) -> Callable[[Any], str]:
        transformer, folder = of("path_transformer"), of("cassette_library_dir")

        def transformed(path: Any) -> str:
            text: str = os.fspath(transformer(path) if transformer else path)
            if folder and not text.startswith(os.fspath(folder)):
                text = os.path.join(os.fspath(folder), text)
            return text

        return transformed

    def _generator(self, of: Callable[[str], Any]) -> Callable[[Any], str] | None:
        generator: Callable[[Any], str] | None = of("func_path_generator")
        if generator is None and not of("cassette_library_dir"):
            return lambda function: os.path.join(os.path.dirname(inspect.getfile(function)), function.__name__)
        return generator

    def _pipeline(self, of: Callable[[str], Any], options: dict[str, Any]) -> Pipeline:
        steps: list[Callable[[Request], Request | None]] = []
        for option, change in (
            ("filter_headers", filters.replace_headers), ("filter_query_parameters", filters.replace_query_parameters),
        ):  # fmt: skip
            if pairs := _pairs(of(option)):
                steps.append(lambda request, change=change, pairs=pairs: change(request, pairs))  # type: ignore[misc]
        if pairs := _pairs(of("filter_post_data_parameters")):
            nested = of("filter_nested_post_data_parameters")
            steps.append(lambda request: filters.replace_body_parameters(request, pairs, nested))
        hosts = (*of("ignore_hosts"), *(_LOCAL if of("ignore_localhost") else ()))
        if hosts:
            steps.append(lambda request: None if _is_one_of(request.host, hosts) else request)
        steps += _functions(options.get("before_record_request", options.get("before_record", self.before_record_request)))
        answers: list[Any] = [filters.decode_response] if of("decode_compressed_response") else []
        answers += _functions(of("before_record_response"))
        save, load = _functions(of("before_save_interaction")), _functions(of("after_load_interaction"))
        if secret := of("filter_sensitive_data"):
            hide, restore = filters.sensitive_data_hooks(secret)
            save, load = [*save, hide], [restore, *load]
        return Pipeline(steps, answers, save, load)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"vcr.VCR has no attribute {name!r} here")


def _known(options: dict[str, Any], known: dict[str, Any]) -> None:
    for name in options:
        if name not in known:
            raise UsageError(f"{name!r} is no option of a cassette", why=f"known: {', '.join(known)}")


def _pairs(given: Any) -> list[tuple[str, Any]]:
    return [one if isinstance(one, tuple) else (one, None) for one in given or ()]


def _functions(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) else [given]


def _is_one_of(host: str | None, hosts: Iterable[Any]) -> bool:
    return any(
        bool(one.fullmatch(host or "")) if isinstance(one, re.Pattern) else one == host for one in hosts
    )  # fmt: skip
