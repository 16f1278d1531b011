"""`[tool.respool.cassettes]` of the project's pyproject.toml, read when the first cassette is opened."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import pytest

from respool.errors import UsageError

DECLARABLE = {
    "mode": str, "ignore_query": list, "ignore_json": list, "ignore_form": list, "headers": list, "query_order": bool,
    "body": bool, "without": list, "allow_status": list, "keep_failures": bool, "repeats": bool, "unplayed": str,
    "block_network": bool, "allowed_hosts": list, "redact_headers": list, "redact_query": list, "redact_form": list,
    "redact_json": list, "redact_env": list,
}  # fmt: skip
"""What may stand in the table besides `folder` and `answer_to_vcr`: option → the type of its TOML value."""

ANSWER = "answer_to_vcr"
ANSWER_VARIABLE = "RESPOOL_ANSWER_TO_VCR"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "": False, "0": False, "false": False, "no": False, "off": False}


class Settings(NamedTuple):
    """The folder of cassettes (relative to each test file's own) and the options that every cassette starts from."""

    folder: str
    options: dict[str, Any]


_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()


def settings_of(config: pytest.Config) -> Settings:
    """The project's settings. Raises UsageError with the file and the key."""
    found = config.stash.get(_SETTINGS, None)
    if found is None:
        found = config.stash[_SETTINGS] = _read(config)
    return found


def answers_to_vcr(config: pytest.Config) -> bool:
    """Whether `import vcr` is to find respool.compat.vcr: RESPOOL_ANSWER_TO_VCR, else `answer_to_vcr = true`.

    Asked before any conftest.py is loaded. Raises pytest.UsageError for a value that is neither yes nor no.
    """
    said = os.environ.get(ANSWER_VARIABLE)
    if said is not None:
        if said.lower() not in _WORDS:
            raise pytest.UsageError(f"{ANSWER_VARIABLE}={said!r} is neither 1 nor 0")
        return _WORDS[said.lower()]
    path = config.rootpath / "pyproject.toml"
    try:
        found = _table(path, ANSWER).get(ANSWER, False)
    except UsageError as error:  # too early for pytest to show another error without a traceback
        raise pytest.UsageError(str(error)) from None
    if not isinstance(found, bool):
        raise pytest.UsageError(f"{path}: [tool.respool.cassettes] {ANSWER} = {found!r} is no bool")
    return found


def _read(config: pytest.Config) -> Settings:
    path = config.rootpath / "pyproject.toml"
    table = _table(path, "respool")
    table.pop(ANSWER, None)
    folder = table.pop("folder", "cassettes")
    if table:
        from respool.cassette.upkeep.settings import KEYS

        for key in KEYS:  # of `respool cassettes check`, which reads them itself
            table.pop(key, None)
    for key, value in table.items():
        if key not in DECLARABLE:
            from difflib import get_close_matches

            near = get_close_matches(key, [*DECLARABLE, "folder", ANSWER], 1)
            raise UsageError(
                f"[tool.respool.cassettes] has no setting {key!r}", where=str(path),
                why=f"did you mean {near[0]}?" if near else f"known: folder, {', '.join(DECLARABLE)}",
            )  # fmt: skip
        if not isinstance(value, DECLARABLE[key]):
            raise UsageError(f"[tool.respool.cassettes] {key} = {value!r} is no {DECLARABLE[key].__name__}", where=str(path))
    if not isinstance(folder, str):
        raise UsageError(f"[tool.respool.cassettes] folder = {folder!r} is no text", where=str(path))
    return Settings(folder, _with_rules(table))


def _table(path: Any, word: str) -> dict[str, Any]:
    """The table of a file that holds the word: parsing costs more than looking, and most projects say nothing here."""
    if not path.is_file():
        return {}
    text = path.read_bytes()
    if word.encode() not in text:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"pyproject.toml cannot be read: {error}", where=str(path)) from None
    found: Any = table.get("tool", {}).get("respool", {}).get("cassettes", {})
    return dict(found)


def _with_rules(table: dict[str, Any]) -> dict[str, Any]:
    """`redact_*` lists become rules."""
    from respool.cassette.redaction import Env, Form, Header, Json, Query

    kinds = {"redact_headers": Header, "redact_query": Query, "redact_form": Form, "redact_json": Json, "redact_env": Env}
    rules = [kind(name) for key, kind in kinds.items() for name in table.pop(key, ())]
    return {**table, "redact": tuple(rules)} if rules else table
