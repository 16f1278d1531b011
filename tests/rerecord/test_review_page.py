"""The page of a run is made of what its units left in the spool."""

from __future__ import annotations

import json
from html import unescape

from respool.cassette.drift import drift
from respool.cassette.drift.report import as_data
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.rerecord.review_page import of_run


def tape(text: str) -> Cassette:
    return Cassette((Interaction(Request("GET", "http://a.example/oslo"), Response(200, body=text.encode())),))


def test_what_changed_and_what_was_kept_are_on_one_page() -> None:
    report = json.loads(json.dumps(as_data(drift(tape('{"temp": 12}'), tape('{"temp": 13}')))))
    same = as_data(drift(tape("a"), tape("a")))
    results = {
        "tests/test_a.py": {"said": {"cassettes": {"tests/cassettes/a.json": {"report": report}}}},
        "tests/test_b.py": {"said": {"cassettes": {"tests/cassettes/b.json": {"report": same}}}},
        "tests/test_c.py": None,
    }
    told = unescape(of_run("Recorded anew", results, {"tests/test_d.py": "bad_status: GET http://a.example/x: 500"}))
    assert "3 cassettes: 1 changed, 1 without a change, 1 not compared" in told
    assert "$.temp" in told
    assert "tests/cassettes/b.json" not in told
    assert "kept as it was: bad_status: GET http://a.example/x: 500" in told
