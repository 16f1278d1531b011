"""Drifts as one HTML page for review: one file without scripts or anything from elsewhere, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from respool.cassette.drift import Change, Drift
from respool.cassette.drift.json_paths import Example, PathChange
from respool.cassette.drift.report import MOST, proposal_line
from respool.phrases import counted, printable

_TEMPLATE = Path(__file__).with_suffix(".html")
_KINDS = {
    "added": "added", "removed": "removed", "type": "other type", "value": "changed", "length": "length",
    "order": "other order",
}  # fmt: skip


class Entry(NamedTuple):
    """One cassette on the page; without a `drift` it was not compared, and `note` says why."""

    name: str
    drift: Drift | None
    note: str = ""


def page(title: str, entries: Sequence[Entry]) -> str:
    """The whole page. Cassettes without a change are counted, and not listed; all text is escaped.

    >>> "<script>" in page("<script>", [Entry("login.json", Drift(1, 1))])
    False
    """
    told = [each for each in entries if each.drift or each.note]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=_text(title),
        counts=_text(_counts(entries)),
        proposals=_proposals([each.drift for each in entries if each.drift is not None]),
        contents=_contents(told) if len(told) > 1 else "",
        cassettes="\n".join(_cassette(number, each) for number, each in enumerate(told, 1)),
    )


def _counts(entries: Sequence[Entry]) -> str:
    same = sum(1 for each in entries if each.drift is not None and not each.drift)
    parts = [
        (sum(1 for each in entries if each.drift), "changed"), (same, "without a change"),
        (sum(1 for each in entries if each.drift is None), "not compared"),
    ]  # fmt: skip
    return f"{counted(len(entries), 'cassette')}: " + ", ".join(f"{number} {words}" for number, words in parts if number)


def _proposals(drifts: Sequence[Drift]) -> str:
    line = proposal_line(drifts)
    if not line:
        return ""
    return f"<p>Changed in each answer. To have it count for nothing, declare:</p>\n<pre tabindex=\"0\">{_text(line)}</pre>"


def _contents(entries: Sequence[Entry]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row" class="name"><a href="#c{number}">{_text(each.name)}</a></th><td>{_said(each)}</td></tr>'
        for number, each in enumerate(entries, 1)
    )
    return f'<h2>Cassettes</h2>\n<table>\n<tr><th scope="col">cassette</th><th scope="col">what</th></tr>\n{rows}\n</table>'


def _said(entry: Entry) -> str:
    drift = _text(entry.drift.summary()) if entry.drift is not None else ""
    return drift + (f' <span class="warn">{_text(entry.note)}</span>' if entry.note else "")


def _cassette(number: int, entry: Entry) -> str:
    head = f'<span class="name">{_text(entry.name)}</span> <span class="quiet">{_said(entry)}</span>'
    inside = "\n".join(_inside(entry.drift)) if entry.drift is not None else ""
    return f'<details open id="c{number}"><summary>{head}</summary>\n<div class="inside">\n{inside}\n</div></details>'


def _inside(drift: Drift) -> Iterator[str]:
    for told, mark, verb in ((drift.added, "ins", "added"), (drift.removed, "del", "removed")):
        yield from (f'<p class="call"><{mark}>{verb} {each.place}. {_text(each.request)}</{mark}></p>' for each in told)
    yield from (f'<p class="call">moved to {each.place}. {_text(each.request)}</p>' for each in drift.moved)
    for change in drift.changed:
        yield f'<p class="call">{change.now}. {_text(change.request)}</p>'
        yield from _change(change)


def _change(change: Change) -> Iterator[str]:
    rows = [_row(each.name, "changed", _values(each.old, each.new)) for each in change.fields]
    rows += [_row(each.path, _KINDS[each.kind], _examples(each)) for each in change.paths[:MOST]]
    if len(change.paths) > MOST:
        rows.append(_row("…", "", counted(len(change.paths) - MOST, "more path")))
    if rows:
        yield "<table>\n" + "\n".join(rows) + "\n</table>"
    if change.lines:
        yield '<pre tabindex="0">' + "\n".join(map(_line, change.lines)) + "</pre>"


def _row(name: str, kind: str, values: str) -> str:
    return f'<tr><th scope="row" class="name">{_text(name)}</th><td class="quiet">{kind}</td><td>{values}</td></tr>'


def _examples(change: PathChange) -> str:
    told = [_example(change, each) for each in change.examples]
    if change.places > len(told):
        told.append(f'<span class="quiet">… in {counted(change.places, "place")}</span>')
    return "<br>".join(told)


def _example(change: PathChange, example: Example) -> str:
    place = "" if example.place == change.path else f'<span class="name quiet">{_text(example.place)}</span> '
    return place + _values(example.old, example.new)


def _values(old: str, new: str) -> str:
    sides = [f"<{mark}><code>{_text(value)}</code></{mark}>" for mark, value in (("del", old), ("ins", new)) if value]
    return " → ".join(sides)


def _line(line: str) -> str:
    mark = {"+": "ins", "-": "del"}.get(line[:1])
    return f"<{mark}>{_text(line)}</{mark}>" if mark else _text(line)


def _text(text: str) -> str:
    return escape(printable(text))
