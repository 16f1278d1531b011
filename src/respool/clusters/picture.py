"""Where to draw the members: each cluster a disc with its most central members in the middle, related discs near each other.

Cheap and repeatable for any size: only the discs are arranged by a layout, and its start is no matter of chance.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import igraph

from respool.clusters.leiden import Network
from respool.clusters.model import Picture

MOST_LINES = 10_000
_GOLDEN = math.pi * (3 - math.sqrt(5))  # the angle of a sunflower's seeds: they fill a disc evenly
_DIGITS = 4


def draw_network(network: Network, groups: Sequence[Sequence[int]]) -> Picture:
    """The picture of a network; `groups` are the positions of each cluster's members, the most central first.

    Members of no group are left out. The strongest MOST_LINES lines among the drawn are kept.
    """
    if not groups:
        return Picture()
    at = {member: number for number, group in enumerate(groups) for member in group}
    centres = _centres(network, at, [math.sqrt(len(group)) for group in groups])
    points: dict[int, tuple[float, float]] = {}
    for (x, y), group in zip(centres, groups, strict=True):
        for rank, member in enumerate(group):
            radius, angle = 0.8 * math.sqrt(rank), rank * _GOLDEN
            points[member] = (x + radius * math.cos(angle), y + radius * math.sin(angle))
    drawn = sorted(points)
    position = {member: number for number, member in enumerate(drawn)}
    lines = sorted(
        ((position[one], position[other], weight) for one, other, weight in network.links() if one in at and other in at),
        key=lambda line: (-line[2], line[:2]),
    )  # fmt: skip
    across, down = fitted([points[member] for member in drawn])
    kept = tuple(sorted(line[:2] for line in lines[:MOST_LINES]))
    return Picture(tuple(network.names[member] for member in drawn), across, down, kept, len(lines) - len(kept))


def _centres(network: Network, at: dict[int, int], radii: Sequence[float]) -> list[tuple[float, float]]:
    between: dict[tuple[int, int], float] = {}
    for one, other, weight in network.links():
        if one in at and other in at and at[one] != at[other]:
            pair = (min(at[one], at[other]), max(at[one], at[other]))
            between[pair] = between.get(pair, 0.0) + weight
    graph = igraph.Graph(len(radii), sorted(between))
    turns = [2 * math.pi * number / len(radii) for number in range(len(radii))]
    circle = [(math.cos(turn), math.sin(turn)) for turn in turns]
    igraph.set_random_number_generator(random.Random(0))
    try:
        layout = graph.layout_fruchterman_reingold(
            weights=[math.log1p(between[pair]) for pair in sorted(between)], seed=circle, niter=500, grid=False
        )  # fmt: skip
    finally:
        igraph.set_random_number_generator(random)
    return _apart([(float(x), float(y)) for x, y in layout.coords], radii)


def _apart(centres: list[tuple[float, float]], radii: Sequence[float]) -> list[tuple[float, float]]:
    """The centres moved away from each other until no two discs overlap (or a fixed number of rounds is over)."""
    places = [[x * 2, y * 2] for x, y in centres]
    for _ in range(200):
        moved = False
        for one in range(len(places)):
            for other in range(one):
                dx, dy = places[one][0] - places[other][0], places[one][1] - places[other][1]
                distance = math.hypot(dx, dy) or 1e-9
                push = (radii[one] + radii[other] + 1.5 - distance) / 2
                if push > 1e-3:
                    dx, dy = (dx / distance, dy / distance) if distance > 1e-9 else (1.0, 0.0)
                    places[one] = [places[one][0] + dx * push, places[one][1] + dy * push]
                    places[other] = [places[other][0] - dx * push, places[other][1] - dy * push]
                    moved = True
        if not moved:
            break
    return [(x, y) for x, y in places]


def fitted(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points moved and scaled into the unit square, with one scale for both directions, as (all x, all y).

    >>> fitted([(0, 0), (10, 5)])
    ((0.0, 1.0), (0.25, 0.75))
    """
    if not points:
        return (), ()
    low = [min(point[axis] for point in points) for axis in (0, 1)]
    high = [max(point[axis] for point in points) for axis in (0, 1)]
    span = max(high[0] - low[0], high[1] - low[1]) or 1.0
    middle = [(low[axis] + high[axis]) / 2 for axis in (0, 1)]
    x, y = (tuple(round(0.5 + (point[axis] - middle[axis]) / span, _DIGITS) for point in points) for axis in (0, 1))
    return x, y
