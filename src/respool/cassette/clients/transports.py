"""What httpx and httpcore, each in two generations, have in common: transports and pools take a request and give an answer
whose bodies are streams of bytes. A Family says how one of these modules spells the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from respool.cassette.clients.driving import Tee, drive, drive_async, wire
from respool.cassette.clients.failures import failure_of
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.deck import Deck
from respool.cassette.model import Failure, Headers, Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request

_KINDS = (
    ("ConnectTimeout", "connect_timeout"), ("ReadTimeout", "read_timeout"), ("WriteTimeout", "write_timeout"),
    ("ConnectError", "connect"), ("RemoteProtocolError", "protocol"), ("ReadError", "closed"), ("WriteError", "closed"),
)  # fmt: skip
_ERRORS = {kind: error for error, kind in reversed(_KINDS)} | {"tls": "ConnectError", "name": "ConnectError"}


class Family(ABC):
    """One module (httpx, httpx2, httpcore, httpcore2) and its spelling; `base`s are what it wants its streams to be."""

    def __init__(self, module: ModuleType, base: type = object, async_base: type = object) -> None:
        self.module: Any = module
        bases = (base,) if base is async_base else (base, async_base)
        self.played_stream: Any = type("PlayedStream", (_Played, *bases), {})
        self.teed_stream: Any = type("TeedStream", (_Teed, base), {})
        self.teed_async_stream: Any = type("TeedAsyncStream", (_TeedAsync, async_base), {})

    def deck(self) -> Deck | None:
        """The deck that a call made here is to be taken through."""
        return open_deck()

    @abstractmethod
    def request(self, request: Any, body: bytes) -> Request:
        """A request of the module's in our form."""

    @abstractmethod
    def head(self, answer: Any) -> Response:
        """The head of an answer of the module's in our form."""

    @abstractmethod
    def answer(self, response: Response, headers: list[tuple[bytes, bytes]], stream: Any) -> Any:
        """An answer of the module's."""

    @abstractmethod
    def error(self, type_: Any, message: str, request: Any) -> Exception:
        """An exception of the module's."""

    def failure(self, error: Exception) -> Failure | None:
        """An exception as a Failure; None for what is no failure of the network."""
        kind = next((kind for name, kind in _KINDS if isinstance(error, getattr(self.module, name))), None)
        return failure_of(error, kind)

    def replayed(self, response: Response | Failure, request: Any) -> Any:
        """What the tape has to say to a request of the module's; raises the exception that stands for a failure."""
        if isinstance(response, Failure):
            raise self.error(getattr(self.module, _ERRORS[response.kind]), response.message, request)
        headers, pieces = wire(response)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self.answer(response, raw, self.played_stream(pieces))

    def hook(self, owner: type, async_owner: type) -> None:
        """Take what `owner`.handle_request and `async_owner`.handle_async_request are asked for through the open deck."""
        replace(owner, "handle_request", self.deciding)
        replace(async_owner, "handle_async_request", self.deciding_async)

    def deciding(self, original: Method) -> Method:
        """A handle_request(transport, request) that asks the open deck first."""

        def handle_request(transport: Any, request: Any) -> Any:
            deck = self.deck()
            if deck is None:
                return original(transport, request)
            return drive(deck, _SyncCall(self, original, transport, request, list(request.stream)))

        return handle_request

    def deciding_async(self, original: Method) -> Method:
        """The same for handle_async_request."""

        async def handle_async_request(transport: Any, request: Any) -> Any:
            deck = self.deck()
            if deck is None:
                return await original(transport, request)
            pieces = [piece async for piece in request.stream]
            return await drive_async(deck, _AsyncCall(self, original, transport, request, pieces))

        return handle_async_request


def texts(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers as the tape has them."""
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])


@lru_cache(256)
def sent_texts(headers: tuple[tuple[bytes, bytes], ...]) -> Headers:
    """The same for a request's. A client sends the same with each, and a text that came before knows its hash already."""
    return texts(headers)


def read_already(answer: Any, tee: Tee) -> bool:
    """Whether an answer was made of a whole body (a foreign transport's may be); `tee` has then seen it."""
    if not getattr(answer, "is_stream_consumed", False):
        return False
    for piece in answer.stream:
        tee.feed(piece)
    tee.end()
    return True


class _Call:
    """One request through one transport; `pieces` are its body."""

    __slots__ = ("_family", "_original", "_pieces", "_request", "_transport")

    def __init__(self, family: Family, original: Method, transport: Any, request: Any, pieces: list[bytes]) -> None:
        self._family = family
        self._original = original
        self._transport = transport
        self._request = request
        self._pieces = pieces

    def request(self) -> Request:
        return self._family.request(self._request, b"".join(self._pieces))

    def head(self, answer: Any) -> Response:
        return self._family.head(answer)

    def replayed(self, response: Response | Failure) -> Any:
        return self._family.replayed(response, self._request)

    def failure(self, error: Exception) -> Failure | None:
        return self._family.failure(error)


class _SyncCall(_Call):
    __slots__ = ()

    def send(self) -> Any:
        # A stream can be iterated once: it was, and what it gave is sent in its place.
        stream, self._request.stream = self._request.stream, self._family.played_stream(self._pieces)
        try:
            with recorded_above():
                return self._original(self._transport, self._request)
        finally:
            self._request.stream = stream

    def teed(self, answer: Any, tee: Tee) -> Any:
        if not read_already(answer, tee):
            answer.stream = self._family.teed_stream(answer.stream, tee, self._family)
        return answer

    def dropped(self, answer: Any) -> None:
        answer.stream.close()


class _AsyncCall(_Call):
    __slots__ = ()

    async def send(self) -> Any:
        stream, self._request.stream = self._request.stream, self._family.played_stream(self._pieces)
        try:
            with recorded_above():
                return await self._original(self._transport, self._request)
        finally:
            self._request.stream = stream

    def teed(self, answer: Any, tee: Tee) -> Any:
        if not read_already(answer, tee):
            answer.stream = self._family.teed_async_stream(answer.stream, tee, self._family)
        return answer

    async def dropped(self, answer: Any) -> None:
        await answer.stream.aclose()


class _Played:
    """A body that is here already."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    def close(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class _ReadAlong:
    """A real body whose pieces `tee` sees; entered while they are read, it knows how that ended."""

    def __init__(self, stream: Any, tee: Tee, family: Family) -> None:
        self._stream = stream
        self._tee = tee
        self._family = family

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._tee.end()
        elif isinstance(error, Exception):
            self._tee.fail(self._family.failure(error))
        elif not isinstance(error, GeneratorExit):  # the application went away from its loop; a close will come
            self._tee.cut()

    def _unless_of_the_network(self, error: Exception) -> None:
        """Raise what is no failure of the network; such a one is none here: nobody asked for the rest."""
        if self._family.failure(error) is None:
            raise error


class _Teed(_ReadAlong):
    def __init__(self, stream: Any, tee: Tee, family: Family) -> None:
        super().__init__(stream, tee, family)
        self._pieces = iter(stream)

    def __iter__(self) -> Iterator[bytes]:
        with self:
            for piece in self._pieces:
                self._tee.feed(piece)
                yield piece

    def close(self) -> None:
        try:
            if self._tee.rest_is_small:
                for _ in self:
                    pass
        except Exception as error:
            self._unless_of_the_network(error)
        finally:
            self._tee.close()
            self._stream.close()


class _TeedAsync(_ReadAlong):
    def __init__(self, stream: Any, tee: Tee, family: Family) -> None:
        super().__init__(stream, tee, family)
        self._pieces = aiter(stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self:
            async for piece in self._pieces:
                self._tee.feed(piece)
                yield piece

    async def aclose(self) -> None:
        try:
            if self._tee.rest_is_small:
                async for _ in self:
                    pass
        except Exception as error:
            self._unless_of_the_network(error)
        finally:
            self._tee.close()
            await self._stream.aclose()
