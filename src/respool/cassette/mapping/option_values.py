"""What the options of a cassette may be: a slip that Python would let pass (`ignore_query="ts"`) is told."""

from __future__ import annotations

from collections.abc import Collection

UNPLAYED = ("report", "fail")
_TEXTS = frozenset(("ignore_query", "ignore_json", "ignore_form", "headers", "without"))
_FLAGS = frozenset(("keep_failures", "repeats", "block_network", "query_order"))


def complaint(name: str, value: object) -> str | None:
    """What is wrong with the value of an option, None if nothing is; options that are not known here pass.

    >>> complaint("ignore_query", "ts"), complaint("ignore_query", ["ts"])
    ("ignore_query='ts' is no list: ignore_query=['ts']", None)
    >>> complaint("allow_status", 404), complaint("unplayed", "fial")
    ('allow_status=404 is no list: allow_status=[404]', "unplayed='fial' is not 'report' or 'fail'")
    """
    if name in _FLAGS and not isinstance(value, bool):
        return f"{name}={value!r} is not True or False"
    if name == "unplayed" and value not in UNPLAYED:
        return f"unplayed={value!r} is not 'report' or 'fail'"
    if name in _TEXTS:
        return _of_list(name, value, str, "a text")
    if name == "allow_status" and value is not None:
        return _of_list(name, value, int, "a status")
    if name == "redact":
        if isinstance(value, str) or not isinstance(value, Collection):
            return f"redact={value!r:.80} is no list of rules: redact=[Header('x-tenant')]"
        for each in value:
            if isinstance(each, str):
                return f"redact holds {each!r}, which is no rule: Header, Query, Form, Json, Path, Value or Env"
    return None


def _of_list(name: str, value: object, kind: type, noun: str) -> str | None:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        return f"{name}={value!r:.80} is no list: {name}=[{value!r:.80}]"
    wrong = [each for each in value if not isinstance(each, kind)]
    return f"{name} holds {wrong[0]!r:.80}, which is not {noun}" if wrong else None
