"""http.client's answers, which urllib3 and urllib hand on: one made from the tape, and one that is read along with.

Both keep the real class, so that its ways of reading (read, read1, readinto, chunk by chunk) need no imitation.
"""

from __future__ import annotations

from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from typing import Any

from respool.cassette.clients.driving import Tee, wire
from respool.cassette.clients.failures import failure_of
from respool.cassette.codings import with_length
from respool.cassette.model import Failure, Headers, Response

EARLY_END = Failure("closed", "the connection was closed before the end of the body")


class _Message:
    """`headers` and `msg`, made for those who ask: requests looks for cookies there, urllib3 by itself does not."""

    def __get__(self, answer: Any, owner: object = None) -> Any:
        if answer is None:
            return self
        made = HTTPMessage()
        for pair in answer.pairs:
            made.set_raw(*pair)
        kept = vars(answer)
        kept.setdefault("msg", made)  # urllib has put the reason there
        return kept.setdefault("headers", made)


class PlayedResponse(HTTPResponse):
    """An answer from the tape, its body read from memory; in chunked coding where it came so, in the recorded chunks.

    >>> PlayedResponse(Response(200, "OK", headers=(("Content-Length", "2"),), body=b"hi"), "GET").read()
    b'hi'
    """

    pairs: Headers
    """The headers, in the order of the wire."""

    chunked, chunk_left, will_close, debuglevel = False, None, False, 0
    headers = msg = _Message()
    fp: Any
    closed = False  # io's own way of asking fails at first, each of the many times: it looks for a mark that is not there

    def __init__(self, response: Response, method: str) -> None:
        # Not the parent's __init__: it wants a socket, and its `begin` would parse what is here already.
        headers, pieces = wire(response)
        whole = b"".join(pieces)  # no copy of a single one
        bodyless = method == "HEAD" or response.status in (204, 304)
        told = "" if bodyless else str(len(whole))
        self.pairs = headers
        for name, value in headers:
            # Lengths first: they are cheap, and only two names matter.
            if len(name) == 17 and name.lower() == "transfer-encoding":
                self.chunked = value.lower() == "chunked"
            elif len(name) == 14 and told and value != told and name.lower() == "content-length":
                # On a tape that was edited or redacted it may be another's.
                self.pairs = with_length(headers, len(whole))
        self.status = self.code = response.status
        self.reason = response.reason
        self.version = 10 if response.version == "HTTP/1.0" else 11
        self._method = method
        self._whole = whole
        self.fp = BytesIO(chunked(pieces) if self.chunked else whole)
        self.length = 0 if bodyless else None if self.chunked else len(whole)

    def read(self, amt: int | None = None) -> bytes:
        if self.length == len(self._whole) and self.fp is not None and (amt is None or amt >= self.length):
            # Nothing was read yet, and all is wanted: no need to copy it, nor to count what is left.
            self.length, self.fp = 0, None
            return self._whole
        return super().read(amt)

    def close(self) -> None:
        self.closed, self.fp = True, None

    def __del__(self) -> None:
        """There is nothing to close, and the parent's way of closing costs as much as all the rest."""


def chunked(pieces: list[bytes]) -> bytes:
    """`pieces` in chunked transfer coding, one chunk each.

    >>> chunked([b"hi"])
    b'2\\r\\nhi\\r\\n0\\r\\n\\r\\n'
    """
    return b"".join([*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece), b"0\r\n\r\n"])


def head_of(answer: HTTPResponse) -> Response:
    """Status, reason, version and headers of an answer of http.client."""
    version = "HTTP/1.0" if answer.version == 10 else "HTTP/1.1"
    return Response(answer.status, answer.reason, version, tuple(answer.headers.items()))


def read_along(answer: HTTPResponse, tee: Tee) -> None:
    """Let `tee` see the body of `answer` while it is read."""
    if answer.fp is None:
        tee.end()
    else:
        reader: Any = _TeedReader(answer.fp, tee, Dechunking() if answer.chunked else None)
        answer.fp = reader


class Dechunking:
    """Takes chunked transfer coding off, whatever pieces it comes in.

    >>> coding = Dechunking()
    >>> coding.feed(b"2;x=y\\r\\nhi\\r\\n0"), coding.done, coding.feed(b"\\r\\n"), coding.done
    (b'hi', False, b'', True)
    """

    __slots__ = ("_left", "_line", "done")

    def __init__(self) -> None:
        self._line = b""
        self._left = 0  # bytes of the chunk to come, with the two of its line end
        self.done = False

    def feed(self, raw: bytes) -> bytes:
        """The body's bytes that are in `raw`, the next piece from the wire. Raises ValueError for what is no chunk."""
        body = []
        while raw and not self.done:
            if self._left:
                taken, raw = raw[: self._left], raw[self._left :]
                body.append(taken[: max(0, self._left - 2)])
                self._left -= len(taken)
            else:
                line, end, raw = raw.partition(b"\n")
                self._line += line
                if end:
                    size = int(self._line.partition(b";")[0], 16)
                    self._line, self._left, self.done = b"", size + 2, size == 0
        return b"".join(body)


class _TeedReader:
    """The connection's buffered reader with a tee: the one place that every way of reading an answer goes through.

    (http.client reads chunks through it, and urllib3 does so in a way of its own.)
    """

    __slots__ = ("_dechunking", "_reader", "_tee")

    def __init__(self, reader: Any, tee: Tee, dechunking: Dechunking | None) -> None:
        self._reader = reader
        self._tee = tee
        self._dechunking = dechunking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, size: int | None = -1) -> bytes:
        whole = size is None or size < 0
        return self._seen(self._read("read", size), at_end=whole, wanted=size)

    def read1(self, size: int = -1) -> bytes:
        return self._seen(self._read("read1", size), wanted=size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._seen(self._read("readline", size), wanted=size)

    def readinto(self, buffer: Any) -> int:
        size: int = self._read("readinto", buffer)
        self._seen(bytes(memoryview(buffer)[:size]), wanted=len(buffer))
        return size

    def _read(self, name: str, argument: Any) -> Any:
        try:
            return getattr(self._reader, name)(argument)
        except Exception as error:
            self._tee.fail(failure_of(error))
            raise

    def _seen(self, data: bytes, *, wanted: int | None, at_end: bool = False) -> bytes:
        if self._dechunking is None:
            self._tee.feed(data)
        else:
            try:
                self._tee.feed(self._dechunking.feed(data))
            except ValueError:  # http.client is about to say so itself
                self._tee.cut()
            if self._dechunking.done:
                self._tee.end()
        if at_end or (not data and wanted != 0):
            if self._dechunking is None and self._tee.missing is None:
                self._tee.end()
            else:
                self._tee.fail(EARLY_END)
        return data

    def close(self) -> None:
        try:
            if self._dechunking is None and self._tee.rest_is_small:
                self.read(self._tee.missing)
        except Exception:
            pass  # nobody asked for the rest, and the tee has counted it
        finally:
            self._tee.close()
            self._reader.close()
