"""What changed between two recordings of the same requests: the difference that is reviewed before a new one is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from respool.cassette.differences import Difference, differences
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette, Failure, Interaction, Request, Response

HEADERS = ("content-type", "location", "link", "www-authenticate", "retry-after")
"""Headers of answers that say something; the others (dates, ids, caches) differ each time."""


class Change(NamedTuple):
    """One request whose answer changed; `fields` hold the old value as "recorded" and the new one as "sent"."""

    method: str
    url: str
    fields: tuple[Difference, ...]


class Drift(NamedTuple):
    """How a new recording differs from an old one: requests that came, that went, and whose answers changed."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def drift(old: Cassette, new: Cassette, matching: Matching, *, ignore_json: Iterable[str] = ()) -> Drift:
    """Compare two cassettes, the nth interaction under a key with the nth. `ignore_json` are paths in answers.

    >>> def tape(temperature):
    ...     return Cassette((Interaction(Request("GET", "http://a/"), Response(200, body=b'{"t": %d}' % temperature)),))
    >>> str(drift(tape(1), tape(2), Matching()).changed[0].fields[0])
    'body $.t: 1 recorded, 2 sent'
    """
    was, now = (_by_key(cassette, matching) for cassette in (old, new))
    rule = Matching(parts=("body",), headers=HEADERS, ignore_json=tuple(ignore_json))
    changed = []
    for key, interaction in now.items():
        before = was.get(key)
        if before is not None and (fields := _answers(before, interaction, rule)):
            changed.append(Change(interaction.request.method, interaction.request.url, tuple(fields)))
    return Drift(
        tuple(_told(each) for key, each in now.items() if key not in was),
        tuple(_told(each) for key, each in was.items() if key not in now),
        tuple(changed),
    )


def _by_key(cassette: Cassette, matching: Matching) -> dict[tuple[Hashable, int], Interaction]:
    asked: dict[Hashable, int] = defaultdict(int)
    found = {}
    for interaction in cassette.interactions:
        key = matching.key(interaction.request)
        found[key, asked[key]] = interaction
        asked[key] += 1
    return found


def _answers(old: Interaction, new: Interaction, rule: Matching) -> list[Difference]:
    one, other = old.response, new.response
    if isinstance(one, Failure) or isinstance(other, Failure):
        was, now = (each.kind if isinstance(each, Failure) else str(each.status) for each in (one, other))
        return [] if was == now else [Difference("outcome", was, now)]
    found = [Difference("status", str(one.status), str(other.status))] if one.status != other.status else []
    return found + differences(_as_request(one), _as_request(other), rule)


def _as_request(response: Response) -> Request:
    """Bodies and headers differ in the same ways, whichever way they go."""
    return Request("", "", response.headers, response.body)


def _told(interaction: Interaction) -> str:
    return f"{interaction.request.method} {interaction.request.url}"
