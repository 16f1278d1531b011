"""Secrets found by what they are, wherever they stand: known by their text, shaped like a maker's key, or told by a rule."""

from __future__ import annotations

from collections.abc import Iterator

from respool.cassette.model import placeholder
from respool.cassette.redaction.edits import Edit, apart, applied
from respool.cassette.redaction.known_values import KnownValues
from respool.cassette.redaction.quick_look import has_long_word
from respool.cassette.redaction.rules import Plan
from respool.cassette.redaction.secret_shapes import in_shape_of, shaped, worth_collecting


class Values:
    """Finds and replaces by value. What has the shape of a secret becomes known, so that it is found encoded, too."""

    def __init__(self, plan: Plan, known: KnownValues, *, answer: bool) -> None:
        self.plan = plan
        self.known = known
        self.answer = answer

    def text(self, text: str) -> str:
        """The text with every such value replaced; the very same object if there is none."""
        edits = self.edits(text)
        return applied(text, edits) if edits else text

    def edits(self, text: str) -> list[Edit]:
        """What to replace, in order and apart. Placeholders are never touched, whatever else they look like."""
        found = [*self.known.edits(text), *self._shaped(text)]  # of two on one place the first one stays
        for pattern, new in self.plan.patterns:
            group = 1 if pattern.groups else 0
            found += (Edit(*match.span(group), new) for match in pattern.finditer(text) if match[group])
        if not found:
            return []
        kept = [Edit(match.start(), match.end(), match[0]) for match in self.plan.protected.finditer(text)]
        return [edit for edit in _beside(apart(found), kept) if text[edit.start : edit.end] != edit.new]

    def _shaped(self, text: str) -> Iterator[Edit]:
        if not (has_long_word(text) or "-----BEGIN" in text):
            return
        for name in self.plan.shapes:
            for match in shaped(text, name):
                value, new = match[0], placeholder(name)
                if self.plan.protected.search(value):
                    continue
                if self.answer:
                    new = in_shape_of(value, new)
                if name != "private-key" and worth_collecting(value):
                    self.known.add(value, new)
                yield Edit(match.start(), match.end(), new)


def _beside(edits: list[Edit], kept: list[Edit]) -> Iterator[Edit]:
    """Those edits that overlap none of `kept`; both are in order."""
    at = 0
    for edit in edits:
        while at < len(kept) and kept[at].end <= edit.start:
            at += 1
        if at == len(kept) or kept[at].start >= edit.end:
            yield edit
