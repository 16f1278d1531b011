"""What a new recording changes is told before it is swapped in."""

from __future__ import annotations

import json
from pathlib import Path

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.rerecord.changes import change
from respool.rerecord.settings import Settings


def tape(**fields: object) -> Cassette:
    answers = [Response(200, body=json.dumps({**fields, "number": number}).encode()) for number in range(2)]
    return Cassette(tuple(Interaction(Request("GET", "http://a.example/"), answer) for answer in answers))


def test_the_first_the_next_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    library, settings = Library(tmp_path), Settings(tmp_path, volatile=("$.at",))
    assert change(library, "oslo.json", tape(at=1), settings)["summary"] == "new, 2 calls"
    library.save("oslo", tape(at=1))
    assert change(library, "oslo.json", tape(at=2), settings)["summary"] == "no change"
    told = change(library, "oslo.json", tape(at=2, temp=3), settings)
    assert (told["interactions"], told["summary"]) == (2, "2 calls changed")
    assert [path["path"] for path in told["report"]["changed"][0]["paths"]] == ["$.temp"]
    (tmp_path / "oslo.json").write_text("{")
    assert change(library, "oslo.json", tape(), settings)["summary"] == "new, 2 calls"


def test_what_changed_between_three_versions_is_proposed(tmp_path: Path) -> None:
    library, settings = Library(tmp_path), Settings(tmp_path)
    library.save("oslo", tape(mood="sunny", place="oslo"))
    library.save("oslo", tape(mood="rainy", place="oslo"))
    told = change(library, "oslo.json", tape(mood="grey", place="lima"), settings)
    assert [each["path"] for each in told["report"]["proposals"]] == ["$.mood"]
