"""A miss is a fact about the test's request, not about the client's insides: its traceback shows the project's lines."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

_FOREIGN = {"site-packages", "dist-packages"}


def shorten(error: BaseException, root: Path) -> None:
    """Leave of `error`'s traceback what lies below `root`, if anything does."""
    own: list[TracebackType] = []
    entry = error.__traceback__
    while entry is not None:
        path = Path(entry.tb_frame.f_code.co_filename)
        if path.is_relative_to(root) and not _FOREIGN & set(path.parts):
            own.append(entry)
        entry = entry.tb_next
    chain: TracebackType | None = None
    for entry in reversed(own):
        chain = TracebackType(chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    if chain is not None:
        error.__traceback__ = chain
