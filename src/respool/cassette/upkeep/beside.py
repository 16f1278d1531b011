"""What a cassette was recorded from, where its own format has no room to say so: notes beside it, in the state folder.

    .respool/recorded-from/3f0a….json      one file for each cassette
      {"v": 1, "cassette": "tests/cassettes/test_a/test_it.yaml", "contents": [[digest, {"inputs": "…", "upstream": "…"}], …]}

A note is about one content of the cassette: what was edited by hand since, or comes from another commit, has none, and one
that is restored has its own again. Notes may be lost: then only the age of the cassette tells whether it is stale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from respool.canonical import digest
from respool.files import file_digest, private_folder, write_atomic

FOLDER = "recorded-from"
KEPT = 4  # contents of a cassette, the latest ones


def note(state: Path, name: str, file: Path, facts: Mapping[str, str]) -> None:
    """Note in the state folder that what is in `file` now, of the cassette `name`, was recorded from these `facts`.

    Raises OSError.
    """
    content = file_digest(file)
    others = [each for each in _contents(state, name) if each[0] != content]
    document = {"v": 1, "cassette": name, "contents": [*others[1 - KEPT :], [content, dict(facts)]]}
    private_folder(state / FOLDER)
    write_atomic(_place(state, name), json.dumps(document, ensure_ascii=False), durable=False)


def noted(state: Path, name: str, file: Path) -> Mapping[str, str]:
    """The facts that were noted of what is in `file` now; none for what is not known, and for what is not there."""
    contents = _contents(state, name)
    try:
        found = dict(contents).get(file_digest(file), {}) if contents else {}
    except OSError:
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _place(state: Path, name: str) -> Path:
    return state / FOLDER / f"{digest(name)[:24]}.json"


def _contents(state: Path, name: str) -> list[tuple[str, dict[str, str]]]:
    """What is noted of a cassette; nothing where somebody has damaged it."""
    try:
        document = json.loads(_place(state, name).read_bytes())
        return [(str(content), dict(facts)) for content, facts in document["contents"]] if document["v"] == 1 else []
    except (OSError, ValueError, TypeError, KeyError):
        return []
