"""The frames of gzip, deflate, br and zstd around content that is stored as it is: valid, uncompressed, made by hand.

Every format here has blocks of plain bytes, for content that does not compress. A frame of nothing but those is what
playback sends: any decoder of the coding reads it, and each block can be decoded as soon as it has arrived.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Protocol


class Frame(Protocol):
    """One frame in the making: `feed` as often as there are pieces, then `end` once; the bytes returned make it up."""

    def feed(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


class _Deflate:
    """RFC 1951 stored blocks in the frame of RFC 1950 (zlib), which is what HTTP means by "deflate"."""

    start = b"\x78\x01"
    first_sum = 1

    def __init__(self) -> None:
        self._head = self.start
        self._sum = self.first_sum
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        self._sum = self._summed(data, self._sum)
        self._size += len(data)
        return head + b"".join(
            struct.pack("<BHH", 0, len(part), len(part) ^ 0xFFFF) + part for part in _slices(data, 0xFFFF)
        )

    def end(self) -> bytes:
        return self._head + b"\x01\x00\x00\xff\xff" + self._tail()

    def _summed(self, data: bytes, value: int) -> int:
        return zlib.adler32(data, value)

    def _tail(self) -> bytes:
        return struct.pack(">I", self._sum)


class _Gzip(_Deflate):
    """RFC 1952, without a time and without the name of a system: neither is part of what was recorded."""

    start = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    first_sum = 0

    def _summed(self, data: bytes, value: int) -> int:
        return zlib.crc32(data, value)

    def _tail(self) -> bytes:
        return struct.pack("<II", self._sum, self._size & 0xFFFFFFFF)


class _Brotli:
    """RFC 7932, section 9.2: one bit for the window, then uncompressed meta-blocks of at most 65,536 bytes."""

    def __init__(self) -> None:
        self._bits = 1  # the window's bit still shares a byte with what comes next

    def feed(self, data: bytes) -> bytes:
        out = []
        for part in _slices(data, 1 << 16):
            # not the last; four nibbles of length; the length less one; uncompressed
            header = (len(part) - 1) << 3 | 1 << 19
            out.append((header << self._bits).to_bytes(3, "little") + part)
            self._bits = 0
        return b"".join(out)

    def end(self) -> bytes:
        return bytes([0b11 << self._bits])  # the last, and empty


class _Zstd:
    """RFC 8878: a window of 128 KiB, raw blocks, neither size nor checksum."""

    def __init__(self) -> None:
        self._head = b"\x28\xb5\x2f\xfd\x00\x38"

    def feed(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + b"".join((len(part) << 3).to_bytes(3, "little") + part for part in _slices(data, 1 << 17))

    def end(self) -> bytes:
        return self._head + b"\x01\x00\x00"


FRAMES: dict[str, type[_Deflate] | type[_Brotli] | type[_Zstd]] = {
    "gzip": _Gzip, "x-gzip": _Gzip, "deflate": _Deflate, "br": _Brotli, "zstd": _Zstd,
}  # fmt: skip


def frame(coding: str) -> Frame:
    """A new frame of `coding`. Raises KeyError for one that is not in FRAMES.

    >>> gzipped = frame("gzip")
    >>> zlib.decompress(gzipped.feed(b"hello") + gzipped.end(), 31)
    b'hello'
    """
    return FRAMES[coding]()
