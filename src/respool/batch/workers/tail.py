"""The output of a command on the disk: the end of it, in bounded space (part of the shim)."""

from __future__ import annotations

import os

SHOWN_LINES, SHOWN_BYTES = 20, 8192


class Tail:
    """A file that keeps the last bytes of a stream: at least half of `cap`, at most `cap`.

    Two segments take turns; each begins with a line that says how much was dropped before it, so that what is on the
    disk explains itself whenever the shim dies. `close` joins them.
    """

    def __init__(self, path: str, cap: int, marker: bytes) -> None:
        self.path, self.older = path, path + ".older"
        self.segment = max(cap // 2, 1)
        self.marker, self.marker_seen = marker, not marker
        self.total = 0
        self.shown = b""
        self.error = ""
        self._carry = b""
        self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        header = b"[the first %d bytes of the output were dropped]\n" % self.total if self.total else b""
        self._header, self._held = len(header), 0
        os.write(self._file, header)

    def write(self, data: bytes) -> None:
        """Take the next bytes of the stream. Never raises: a full disk is remembered in `error`."""
        if not self.marker_seen:
            seen = self._carry + data
            self.marker_seen = self.marker in seen
            self._carry = seen[-len(self.marker) :]
        self.shown = (self.shown + data)[-SHOWN_BYTES:]
        view = memoryview(data)
        while view and not self.error:
            try:
                if self._held >= self.segment:
                    os.close(self._file)
                    os.replace(self.path, self.older)
                    self._open()
                written = os.write(self._file, view[: self.segment - self._held])
            except OSError as error:
                self.error = f"the output could not be kept: {error.strerror}"
                break
            view = view[written:]
            self._held += written
            self.total += written

    def close(self) -> None:
        """Join the segments under the file's own name."""
        os.close(self._file)
        if self.error or not os.path.exists(self.older):
            return
        try:
            with open(self.path, "rb") as newer, open(self.older, "ab") as file:
                newer.seek(self._header)
                while chunk := newer.read(1 << 20):
                    file.write(chunk)
            os.replace(self.older, self.path)
        except OSError as error:
            self.error = f"the output could not be joined: {error.strerror}"

    def last_lines(self) -> str | None:
        """The end of the stream, for a failure's detail."""
        lines = self.shown.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-SHOWN_LINES:]) or None
