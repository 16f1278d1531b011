"""A drift told as lines and as JSON values."""

from __future__ import annotations

import json

from respool.cassette.drift import Change, Drift, Field, Told
from respool.cassette.drift.json_paths import Example, PathChange
from respool.cassette.drift.report import MOST, as_data, inner_lines, lines, of_data, path_line, proposal_line
from respool.cassette.drift.volatile import Proposal

WHOLE = Drift(
    3, 3, (Told(1, "GET http://a/new"),), (Told(2, "GET http://a/old"),), (Told(3, "GET http://a/moved"),),
    (Change(3, 2, "GET http://a/x", (Field("status", "200", "201"), Field("header location", "/a", "")),
            (PathChange("$.n", "value", 1, (Example("$.n", "1", "2"),)),), ("-a", "+b")),),
    (Proposal("$.at", "date", 2), Proposal('$["a"]', "id", 1)),
)  # fmt: skip


def test_lines_are_marked_by_what_happened() -> None:
    assert list(lines(WHOLE)) == [
        "+ GET http://a/new",
        "- GET http://a/old",
        "^ GET http://a/moved",
        "~ GET http://a/x",
        "    status: 200 → 201",
        "    header location: /a → nothing",
        "    $.n: 1 → 2",
        "    -a",
        "    +b",
    ]


def test_json_reads_back_as_it_was() -> None:
    assert of_data(json.loads(json.dumps(as_data(WHOLE)))) == WHOLE
    assert as_data(WHOLE)["summary"] == "1 call changed, 1 call added, 1 call removed, 1 call moved"
    assert of_data(as_data(Drift(None, 2))) == Drift(None, 2)


def test_the_line_of_a_pattern() -> None:
    def line(kind: str, places: int, *examples: tuple[str, str, str], path: str = "$.a[*]") -> str:
        return path_line(PathChange(path, kind, places, tuple(Example(*each) for each in examples)))

    assert line("length", 1, ("$.a", "2", "3"), path="$.a") == "$.a: 2 → 3 elements"
    assert line("order", 1, ("$.a", "", ""), path="$.a") == "$.a: its elements are in another order"
    assert line("added", 1, ("$.b", "", "4"), path="$.b") == "$.b: added 4"
    assert line("type", 1, ("$.b", "number 4", "text x"), path="$.b") == "$.b: number 4 → text x"
    assert line("removed", 2, ("$.a[0]", "1", ""), ("$.a[4]", "2", "")) == "$.a[*]: removed in 2 places: $.a[0] 1, $.a[4] 2"
    assert line("value", 9, ("$.a[0]", "1", "2")) == "$.a[*]: changed in 9 places: $.a[0] 1 → 2, …"


def test_many_paths_are_cut_and_counted() -> None:
    paths = tuple(PathChange(f"$.n{n}", "value", 1, (Example(f"$.n{n}", "1", "2"),)) for n in range(MOST + 2))
    told = list(inner_lines(Change(1, 1, "GET http://a/", paths=paths)))
    assert len(told) == MOST + 1
    assert told[-1] == "… and 2 more paths"


def test_proposals_of_all_cassettes_make_one_setting() -> None:
    assert proposal_line([WHOLE, WHOLE]) == 'volatile = ["$.at", "$[\\"a\\"]"]  # date in 4 places, id in 2 places'
    assert proposal_line([Drift(1, 1)]) == ""
