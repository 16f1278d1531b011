"""Content codings: taken off before a body is kept, put on again when it is played.

A tape holds the decoded body, so that a diff, a search and a scan all see the same text, and the names of the codings
as a fact. Playback need not compress: each coding knows a form that stores its content as it is, in blocks behind a
few bytes of frame. That form is made here by hand. It costs next to nothing, has the same bytes on every machine (a
compressor's output changes with its version), and needs no brotli and no zstandard, which only taking off does.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from respool.cassette.model import Chunk, Headers, Response
from respool.cassette.stored_frames import FRAMES, frame

LIMIT = 64_000_000
"""No body is decoded beyond this many bytes: a few kilobytes on the wire can say that they are gigabytes."""

_MOST = 4  # codings over each other; nobody sends more than two


class Undecodable(ValueError):
    """The bytes are not in the coding that was named, end too early, are too many, or nobody here can read them."""


class _Decoder(Protocol):
    def feed(self, data: bytes) -> bytes: ...
    def end(self) -> None: ...


def known(coding: str) -> bool:
    """Whether a tape may name this coding (lower case): what is known here can always be put on."""
    return coding in FRAMES


def listed(headers: Headers) -> tuple[str, ...]:
    """The codings that Content-Encoding names, in the order they were applied, lower case, without "identity".

    >>> listed((("Content-Encoding", "GZIP, identity"), ("content-encoding", "br")))
    ('gzip', 'br')
    """
    found: tuple[str, ...] = ()
    for name, value in headers:
        if len(name) == 16 and name.lower() == "content-encoding":
            names = (part.strip().lower() for part in value.split(","))
            found += tuple(part for part in names if part and part != "identity")
    return found


def decode(body: bytes, codings: tuple[str, ...]) -> bytes | None:
    """`body` without its codings, or None if one is unknown, its module is missing, or the bytes are not in it.

    None as well where the result, or a step on the way, would be longer than LIMIT.

    >>> decode(encode(b"hello", ("gzip", "br")), ("gzip", "br")) in (b"hello", None)  # None: no brotli here
    True
    """
    try:
        decoders = _decoders(codings)
        body = _through(decoders, body)
        for decoder in decoders:
            decoder.end()
    except Undecodable:
        return None
    return body


def encode(body: bytes, codings: tuple[str, ...]) -> bytes:
    """A wire form of `body` under `codings`, the same on every machine. Raises Undecodable for an unknown coding.

    >>> decode(encode(b"hello", ("deflate",)), ("deflate",))
    b'hello'
    """
    return b"".join(_encoded([body], codings))


def taken_off(headers: Headers, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The decoded body of a response, and the codings that were taken off it: all that the headers name, or none.

    An empty body (an answer to HEAD, a 304) has no codings, whatever its headers say.
    """
    codings = listed(headers)
    if not codings or not body:
        return body, ()
    decoded = decode(body, codings)
    return (body, ()) if decoded is None else (decoded, codings)


def pieces_taken_off(
    headers: Headers, pieces: Iterable[tuple[bytes, float]]
) -> tuple[bytes, tuple[str, ...], tuple[Chunk, ...]]:
    """The same for a body that was read piece by piece; `pieces` are (bytes of the wire, seconds after the one before).

    The chunks say what each piece was good for once decoded; the wait for one that gave nothing goes to the next.
    """
    given = list(pieces)
    codings = listed(headers)
    if codings and any(piece for piece, _ in given):
        try:
            decoders = _decoders(codings)
            decoded, total = [], 0
            for piece, after in given:
                part = _through(decoders, piece)
                total += len(part)
                if total > LIMIT:
                    raise Undecodable("too long")
                decoded.append((part, after))
            for decoder in decoders:
                decoder.end()
            return _joined(decoded, codings)
        except Undecodable:
            pass
    return _joined(given, ())


def put_on(response: Response) -> tuple[Headers, bytes]:
    """Headers and body as the wire is to carry them; Content-Length is corrected where the codings changed it."""
    if not response.codings:
        return response.headers, response.body
    wire = encode(response.body, response.codings)
    return with_length(response.headers, len(wire)), wire


def pieces_put_on(response: Response) -> tuple[Headers, tuple[tuple[bytes, float], ...]]:
    """The same for a body in chunks: (bytes of the wire, seconds after the one before), each decodable when it arrives.

    A response without chunks is one piece.
    """
    chunks = response.chunks or (Chunk(len(response.body), 0.0),)
    parts, start = [], 0
    for chunk in chunks:
        parts.append(response.body[start : start + chunk.size])
        start += chunk.size
    headers = response.headers
    if response.codings:
        wire = list(_encoded(parts, response.codings))
        headers = with_length(headers, sum(map(len, wire)))
        # The end of the frame travels with the last chunk: a piece of its own would be one that nobody recorded.
        parts = [*wire[: len(parts) - 1], b"".join(wire[len(parts) - 1 :])]
    return headers, tuple((part, chunk.after) for part, chunk in zip(parts, chunks, strict=True))


def with_length(headers: Headers, length: int) -> Headers:
    """The headers with this Content-Length, wherever they tell one.

    >>> with_length((("Content-Length", "1"), ("A", "b")), 20)
    (('Content-Length', '20'), ('A', 'b'))
    """
    return tuple(
        (name, str(length)) if len(name) == 14 and name.lower() == "content-length" else (name, value)
        for name, value in headers
    )


def _joined(
    pieces: list[tuple[bytes, float]], codings: tuple[str, ...]
) -> tuple[bytes, tuple[str, ...], tuple[Chunk, ...]]:
    chunks, waited = [], 0.0
    for piece, after in pieces:
        waited += after
        if piece:
            chunks.append(Chunk(len(piece), waited))
            waited = 0.0
    return b"".join(piece for piece, _ in pieces), codings, tuple(chunks)


def _encoded(parts: list[bytes], codings: tuple[str, ...]) -> list[bytes]:
    """One piece for each of `parts`, and at least one more for the end."""
    for coding in codings:
        try:
            made = frame(coding)
        except KeyError:
            raise Undecodable(f"unknown coding {coding!r}") from None
        parts = [*(made.feed(part) for part in parts), made.end()]
    return parts


def _decoders(codings: tuple[str, ...]) -> list[_Decoder]:
    if len(codings) > _MOST:
        raise Undecodable(f"{len(codings)} codings over each other")
    try:
        return [_DECODERS[coding]() for coding in reversed(codings)]
    except KeyError as error:
        raise Undecodable(f"unknown coding {error}") from None
    except ImportError as error:
        raise Undecodable(str(error)) from None


def _through(decoders: list[_Decoder], data: bytes) -> bytes:
    for decoder in decoders:
        data = decoder.feed(data)
    return data


class _Zlib:
    """gzip (several members too) and deflate, which some servers send with zlib's frame and some without."""

    def __init__(self, wbits: int, *, members: bool) -> None:
        self._wbits = wbits
        self._members = members
        self._state: Any = None
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._state is None:
                self._state = self._begun(data)
            elif self._state.eof:
                if not self._members:
                    raise Undecodable("bytes after the end")
                self._state = zlib.decompressobj(self._wbits)
            try:
                part = self._state.decompress(data, LIMIT - self._total + 1)
            except zlib.error as error:
                raise Undecodable(str(error)) from None
            self._total += len(part)
            if self._total > LIMIT:
                raise Undecodable("too long")
            out.append(part)
            data = self._state.unused_data
        return b"".join(out)

    def _begun(self, data: bytes) -> Any:
        # zlib's frame starts with a byte whose low half is 8, which no raw deflate stream of a usual encoder does.
        bare = self._wbits == zlib.MAX_WBITS and data[0] & 0x0F != 8
        return zlib.decompressobj(-zlib.MAX_WBITS if bare else self._wbits)

    def end(self) -> None:
        if self._state is None or not self._state.eof:
            raise Undecodable("ends too early")


class _Brotli:
    def __init__(self) -> None:
        self._module = _brotli()
        self._state = self._module.Decompressor()
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        out = []
        try:
            for part in self._parts(data):
                self._total += len(part)
                if self._total > LIMIT:
                    raise Undecodable("too long")
                out.append(part)
        except self._module.error as error:
            raise Undecodable(str(error)) from None
        return b"".join(out)

    def _parts(self, data: bytes) -> Iterator[bytes]:
        if not hasattr(self._state, "can_accept_more_data"):  # before 1.2 an output could not be bounded
            for start in range(0, len(data), 256):
                yield self._state.process(data[start : start + 256])
        elif data:
            part = self._state.process(data, output_buffer_limit=1 << 20)
            while part or not self._state.can_accept_more_data():
                yield part
                if self._state.is_finished():
                    break
                part = self._state.process(b"", output_buffer_limit=1 << 20)

    def end(self) -> None:
        if not self._state.is_finished():
            raise Undecodable("ends too early")


class _Zstd:
    """zstd, in one or more frames."""

    def __init__(self) -> None:
        self._make, self._error = _zstd()
        self._state: Any = None
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        out = []
        # Not every module can bound an output, but four bytes never stand for more than 128 KiB: hence the slices.
        for start in range(0, len(data), 512):
            rest = data[start : start + 512]
            while rest:
                if self._state is None or self._state.eof:
                    self._state = self._make()
                try:
                    part = self._state.decompress(rest)
                except self._error as error:
                    raise Undecodable(str(error)) from None
                self._total += len(part)
                if self._total > LIMIT:
                    raise Undecodable("too long")
                out.append(part)
                rest = self._state.unused_data if self._state.eof else b""
        return b"".join(out)

    def end(self) -> None:
        if self._state is None or not self._state.eof:
            raise Undecodable("ends too early")


def _brotli() -> Any:
    try:
        import brotli
    except ImportError:
        import brotlicffi as brotli
    return brotli


def _zstd() -> tuple[Callable[[], Any], type[Exception]]:
    """Something that makes decompressors, and what they raise: of Python itself (3.14), of its backport, of zstandard."""
    try:
        from compression import zstd
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            import zstandard

            return lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError
    return zstd.ZstdDecompressor, zstd.ZstdError


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16, members=True),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16, members=True),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS, members=False),
    "br": _Brotli,
    "zstd": _Zstd,
}
