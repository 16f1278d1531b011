"""Canonical bytes and the one digest: request keys, item fingerprints and content names all come from here.

Version 1 of the form (its golden vectors are in tests/test_canonical.py; any change of a byte is a new version):
UTF-8 JSON without blanks, object keys in the order of their code points, no Unicode normalisation, integers exact,
floats in Python's shortest form (so 1, 1.0 and true differ), NaN and infinities refused, keys that are no text refused,
duplicate keys refused on reading. The digest is BLAKE2b with 128 bits over a version prefix and length-framed parts.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

VERSION = 1
_PREFIX = b"respool/1\0"
_TEXT_ONLY = "an object's keys must be text, not {!r}"


class NotCanonical(ValueError):
    """A value, or a text, that JSON cannot hold without loss. The message names the offending part."""


def encode(value: Any) -> str:
    """The canonical JSON text of `value` (dict, list, tuple, str, int, float, bool, None; tuples become lists).

    Raises NotCanonical for NaN, infinities, keys that are no text, lone surrogates and foreign types.

    >>> encode({"b": 1.0, "a": [True, None, 1]})
    '{"a":[true,null,1],"b":1.0}'
    """
    text = encode_decoded(value)
    if "{" in text:
        # json.dumps silently turns 1 and True into "1" and "true" as keys; two payloads would then share a key.
        _refuse_foreign_keys(value)
    return text


def encode_decoded(value: Any) -> str:
    """The same for what `decode` gave, or a part of it, in half the time: its keys are text, and are not looked at."""
    try:
        text = _ENCODER(value)
        if not text.isascii():
            text.encode("utf-8")
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError) as error:
        raise NotCanonical(str(error)) from None
    return text


def decode(text: str | bytes) -> Any:
    """The value of a JSON text. Raises NotCanonical for malformed text, duplicate keys, NaN and infinities.

    >>> decode('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    respool.canonical.NotCanonical: duplicate key 'a'
    """
    try:
        return _DECODER.decode(text.decode("utf-8") if isinstance(text, bytes) else text)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from None


def digest(*parts: str | bytes) -> str:
    """32 hexadecimal digits that name these parts; ("ab", "c") and ("a", "bc") differ.

    >>> digest("a") == digest(b"a") != digest("a", "")
    True
    """
    state = blake2b(_PREFIX, digest_size=16)
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def _refuse_foreign_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise NotCanonical(_TEXT_ONLY.format(key))
            if isinstance(inner, (dict, list, tuple)):
                _refuse_foreign_keys(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if isinstance(inner, (dict, list, tuple)):
                _refuse_foreign_keys(inner)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotCanonical(f"duplicate key {key!r}")
            seen.add(key)
    return found


def _no_constant(name: str) -> Any:
    raise NotCanonical(f"{name} is no JSON number")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
