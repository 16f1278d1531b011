"""What changed between two bodies that are no JSON: a short diff of their lines."""

from __future__ import annotations

from respool.cassette.differences import shared_start

MOST = 12  # lines that are told
_WIDE = 120  # characters of a line
_COMPARED = 400  # lines between the first and the last that differ; a diff's cost is the square of them


def changed(old: bytes, new: bytes) -> list[str]:
    r"""Lines as in a unified diff ("-" went, "+" came, " " stands around), at most MOST and one that says how many more.

    >>> changed(b"a\nb\nc", b"a\nB\nc")
    ['@@ line 1', ' a', '-b', '+B', ' c']
    """
    try:
        was, now = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return [f"{len(old)} bytes → {len(new)} bytes, different from byte {shared_start(old, new)} on"]
    if was == now:
        return ["the same lines, which end otherwise"]
    if len(was) == len(now) == 1:
        return _parted(was[0], now[0])
    start, end = _around(was, now)
    if max(len(was), len(now)) - start - end > _COMPARED:
        return [f"{len(was)} lines → {len(now)} lines, different from line {start + 1} on"]
    lines = _diff(was[start : len(was) - end], now[start : len(now) - end], start)
    more = len(lines) - MOST
    return lines[:MOST] + ([f"… and {more} more lines"] if more > 0 else [])


def _around(was: list[str], now: list[str]) -> tuple[int, int]:
    """How many lines are equal at the start and at the end, less the one each that is shown."""
    start = shared_start(was, now)
    end = min(shared_start(was[::-1], now[::-1]), min(len(was), len(now)) - start)
    return max(0, start - 1), max(0, end - 1)


def _diff(was: list[str], now: list[str], start: int) -> list[str]:
    from difflib import SequenceMatcher

    found = []
    for group in SequenceMatcher(None, was, now, autojunk=False).get_grouped_opcodes(1):
        found.append(f"@@ line {start + group[0][1] + 1}")
        for what, one, one_end, other, other_end in group:
            if what == "equal":
                found += [f" {_cut(line)}" for line in was[one:one_end]]
            else:
                found += [f"-{_cut(line)}" for line in was[one:one_end]] + [f"+{_cut(line)}" for line in now[other:other_end]]
    return found


def _parted(was: str, now: str) -> list[str]:
    """Two long lines, from a little before the place where they part."""
    start = max(0, shared_start(was, now) - 20) if max(len(was), len(now)) > _WIDE else 0
    place = [f"@@ character {start + 1}"] if start else []
    return [*place, f"-{_cut(was[start:])}", f"+{_cut(now[start:])}"]


def _cut(line: str) -> str:
    return line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"
