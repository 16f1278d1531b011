"""Why a request missed: the recorded request that is closest, and what of it differs.

Everything here works on redacted requests, so no secret is ever shown.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import NamedTuple

from respool.cassette.differences import Difference, differences
from respool.cassette.matching import Matching
from respool.cassette.model import Interaction, Request
from respool.cassette.urls import Url, take_apart
from respool.errors import RequestNotRecorded

_LOOKED_AT = 20_000  # interactions whose addresses are compared
_COMPARED = 40  # of them, those whose every field is
_TOLD = 4

# How far a difference takes two requests apart. Bodies of chats differ in many places and are still the same call.
_WEIGHT = {"method": 8.0, "scheme": 2.0, "host": 30.0, "port": 4.0, "path": 12.0, "query": 2.0, "order": 1.0, "header": 1.0}


class Nearest(NamedTuple):
    """The place of the closest interaction (from 0), and what differs; nothing does if only its turn is over."""

    place: int
    differences: tuple[Difference, ...]


def nearest(
    request: Request,
    candidates: Sequence[Interaction],
    matching: Matching,
    redact: Callable[[Request], Request] | None = None,
) -> Nearest | None:
    """The candidate that is closest to `request` (a redacted one), None if there are no candidates.

    `redact` is applied to recorded requests. The cost is bounded: of many candidates the addresses are compared, and of
    the closest few every field.

    >>> tape = [Interaction(Request("GET", f"http://a/{path}"), None) for path in ("x", "y/1")]
    >>> nearest(Request("GET", "http://a/y/2"), tape, Matching()).place
    1
    """
    same = redact or _as_it_is
    if matching.normalise is not None:
        request = matching.normalise(request)
    wanted = take_apart(request.url)
    looked_at = (
        (_closeness(wanted, request, same(candidates[index].request)), -index)
        for index in range(min(len(candidates), _LOOKED_AT))
    )
    best: tuple[float, int, list[Difference]] | None = None
    for _, negative in heapq.nlargest(_COMPARED, looked_at):
        found = differences(same(candidates[-negative].request), request, matching)
        distance = sum(_WEIGHT.get(each.field.partition(" ")[0], 1.0) for each in found)
        if best is None or distance < best[0]:  # of equals the first has the closest address
            best = (distance, -negative, found)
    return Nearest(best[1], tuple(best[2])) if best else None


def explained(
    request: Request,
    interactions: Sequence[Interaction],
    matching: Matching,
    redact: Callable[[Request], Request] | None = None,
    *,
    name: str = "",
    times: int = 1,
    command: str = "",
) -> RequestNotRecorded:
    """The error for a request (a redacted one) that nothing on the tape `name` answers, for the `times`-th time.

    `command` is what would record it. The error names the closest recorded request and the fields that differ.
    """
    where = name or "the cassette"
    count = f" ({_ordinal(times)} time)" if times > 1 else ""
    found = nearest(request, interactions, matching, redact)
    if found is None:
        why = "nothing is recorded there"
    else:
        why = f"closest is interaction {found.place + 1} of {len(interactions)}, " + _told(found, matching)
    return RequestNotRecorded(
        f"{request.method} {request.url} is not on {where}{count}", why=why, command=command or None
    )


def _told(found: Nearest, matching: Matching) -> str:
    if not found.differences:
        if matching.custom:
            return "which a custom matcher refused, or which has been played already"
        return "which is the same request and has been played already"
    shown = "; ".join(str(each) for each in found.differences[:_TOLD])
    rest = len(found.differences) - _TOLD
    return f"it differs in {shown}" + (f"; and in {rest} more" if rest > 0 else "")


def _closeness(wanted: Url, request: Request, recorded: Request) -> float:
    """How near an address is, cheaply: host, method, path by its segments, names in the query."""
    url = take_apart(recorded.url)
    score = 30.0 * (url.host == wanted.host) + 8.0 * (recorded.method == request.method) + 2.0 * (url.port == wanted.port)
    if url.path == wanted.path:
        score += 20.0
    else:
        one, other = url.path.split("/"), wanted.path.split("/")
        equal = sum(left == right for left, right in zip(one, other, strict=False))
        score += 12.0 * equal / max(len(one), len(other))
    if url.query != wanted.query:
        shared = len(set(url.query) & set(wanted.query))
        score -= 4.0 * (1 - shared / max(len(url.query), len(wanted.query)))
    return score - 0.5 * (bool(recorded.body) != bool(request.body)) + 1.0 * (recorded.body == request.body)


def _as_it_is(request: Request) -> Request:
    return request


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
