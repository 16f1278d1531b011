"""A picture has every member once, inside the unit square, the strongest lines, and is the same every time."""

from __future__ import annotations

import math

import pytest

from respool.clusters import picture
from respool.clusters.leiden import Network
from respool.clusters.picture import draw_network, fitted


def network() -> Network:
    pairs = [(f"{group}{one}", f"{group}{other}") for group in "ABC" for one in range(6) for other in range(one + 1, 6)]
    weights = dict.fromkeys(pairs, 0.5) | {("A0", "B0"): 0.9, ("A0", "loner"): 1.0}
    return Network.of(weights)


def groups(found: Network) -> list[list[int]]:
    return [[at for at, name in enumerate(found.names) if name[0] == group] for group in "ABC"]


def test_members_are_drawn_in_discs_that_do_not_overlap() -> None:
    found = network()
    drawn = draw_network(found, groups(found))
    assert drawn == draw_network(network(), groups(found))
    assert drawn.names == tuple(name for name in found.names if name != "loner")
    assert all(0 <= value <= 1 for value in (*drawn.x, *drawn.y))
    at = dict(zip(drawn.names, zip(drawn.x, drawn.y, strict=True), strict=True))
    centres = {group: at[f"{group}0"] for group in "ABC"}  # the most central member is in the middle
    for name, place in at.items():
        distances = {group: math.dist(place, centre) for group, centre in centres.items()}
        assert min(distances, key=distances.__getitem__) == name[0]


def test_only_the_strongest_lines_are_kept_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = network()
    whole = draw_network(found, groups(found))
    assert (len(whole.lines), whole.lines_left_out) == (46, 0)  # the loner's is none: it is not drawn
    monkeypatch.setattr(picture, "MOST_LINES", 1)
    few = draw_network(found, groups(found))
    assert [(few.names[one], few.names[other]) for one, other in few.lines] == [("A0", "B0")]
    assert few.lines_left_out == 45


def test_one_scale_for_both_directions_and_nothing_for_nothing() -> None:
    assert fitted([(0, 0), (4, 2)]) == ((0.0, 1.0), (0.25, 0.75))
    assert fitted([(3, 3)]) == ((0.5,), (0.5,))
    assert fitted([]) == ((), ())
    assert draw_network(network(), []).names == ()
