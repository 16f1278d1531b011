"""A body as a reviewer wants to see it in a JSON file, such that the very bytes come back.

JSON is stored as JSON only if one of a few named styles of encoders gives back what was sent, byte for byte; else the
body is text, by lines; else base64. (JSON that was sent over several lines is readable as it is: it counts as text.)

A style is a name such as "compact ascii newline": "compact" or "spaced" for the separators, then what applies of
"ascii" (no character beyond ASCII as itself), "html" (<, > and & escaped, as Go does), "slashes" (escaped, as PHP
does), "newline" (one at the end).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from itertools import product
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

DEEPEST = 50
"""JSON that is nested deeper is kept as text: a file that holds it would come near what a JSON reader can take."""

_BINARY = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f]")  # controls that no text has; tab, line ends, form feed, escape stay
_WIDTH = 96


class Misformed(ValueError):
    """A form that gives back no bytes; says why."""


def formed(body: bytes) -> dict[str, Any]:
    """The form of `body`: {"json": ..., "style": ...}, {"text": text or list of lines} or {"base64": the same}.

    >>> formed(b'{"a": 1}')
    {'json': {'a': 1}, 'style': 'spaced'}
    >>> formed(b"one\\ntwo")
    {'text': ['one\\n', 'two']}
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None or _BINARY.search(text):
        coded = b64encode(body).decode("ascii")
        lines = [coded[start : start + _WIDTH] for start in range(0, len(coded), _WIDTH)]
        return {"base64": lines if len(lines) > 1 else coded}
    if text[:1] in ("{", "["):
        found = _as_json(text)
        if found is not None:
            return found
    *whole, rest = text.split("\n")
    lines = [f"{line}\n" for line in whole] + ([rest] if rest else [])
    return {"text": lines if len(lines) > 1 else text}


def restored(form: dict[str, Any]) -> bytes:
    """The body whose form this is. Raises Misformed for anything that `formed` does not make."""
    try:
        if "json" in form:
            if len(form) != 2:
                raise Misformed("JSON needs its style, and nothing else")
            return _STYLES[form["style"]](form["json"]).encode("utf-8")
        ((kind, content),) = form.items()
        if kind not in ("text", "base64"):
            raise Misformed(f"{kind!r} is no form of a body")
        text: str = content if type(content) is str else "".join(_a_list(content))
        return text.encode("utf-8") if kind == "text" else b64decode(text.encode("ascii"), validate=True)
    except KeyError as error:
        raise Misformed(f"{error} is no style of JSON, or no style is given") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise Misformed(str(error)) from None


def styled(form: dict[str, Any]) -> bool:
    """Whether `form` is JSON that can be restored later, as far as this can be told without doing it."""
    return len(form) == 2 and "json" in form and type(style := form.get("style")) is str and style in _STYLES


def _a_list(content: Any) -> list[str]:
    if type(content) is not list:
        raise Misformed("neither text nor a list of lines")
    return content


def _as_json(text: str) -> dict[str, Any] | None:
    newline = text.endswith("\n")
    sent = text[:-1] if newline else text
    if "\n" in sent:
        return None
    try:
        value = json.loads(sent, parse_constant=_refuse)
        if _deeper(value, DEEPEST):
            return None
        if "\\u" in sent:  # half a character can be written as JSON, but a file that holds it could not be searched
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        for style in _candidates(sent, newline):
            if _STYLES[style](value) == text:
                return {"json": value, "style": style}
    except (ValueError, RecursionError):
        pass
    return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _candidates(sent: str, newline: bool) -> list[str]:
    """Styles worth a try: an escape that does not occur need not be looked for."""
    given = {"newline"} if newline else set()
    if "\\" in sent:
        given |= {word for word, signs in _SIGNS.items() if any(sign in sent for sign in signs)}
    return [style for style, words in _WORDS.items() if words <= given and ("newline" in words) == newline]


def _deeper(value: Any, than: int) -> bool:
    if isinstance(value, dict):
        return than == 0 or any(_deeper(inner, than - 1) for inner in value.values())
    if isinstance(value, list):
        return than == 0 or any(_deeper(inner, than - 1) for inner in value)
    return False


def _style(spaced: bool, ascii_only: bool, html: bool, slashes: bool, newline: bool) -> tuple[str, Callable[[Any], str]]:
    words = {"ascii": ascii_only, "html": html, "slashes": slashes, "newline": newline}
    name = " ".join(["spaced" if spaced else "compact", *(word for word, on in words.items() if on)])
    between = (", ", ": ") if spaced else (",", ":")
    encode = _encoding(json.JSONEncoder(ensure_ascii=ascii_only, separators=between, check_circular=False))
    if not (html or slashes or newline):
        return name, encode

    def encoder(value: Any) -> str:
        text = encode(value)
        # Outside of its strings JSON has none of these characters, so replacing them in the whole text is right.
        if html:
            text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        if slashes:
            text = text.replace("/", "\\/")
        return text + "\n" if newline else text

    return name, encoder


def _encoding(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """`encoder.encode`, by a C encoder that is made once: made for each body it is a quarter of a short one's work."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another Python than CPython
        return encoder.encode
    text = encode_basestring_ascii if encoder.ensure_ascii else encode_basestring
    between = encoder.key_separator, encoder.item_separator
    pieces = make(None, encoder.default, text, None, *between, encoder.sort_keys, encoder.skipkeys, encoder.allow_nan)
    return lambda value: "".join(pieces(value, 0))


_SIGNS = {"ascii": ("\\u",), "html": ("\\u003c", "\\u003e", "\\u0026"), "slashes": ("\\/",)}
_STYLES: dict[str, Callable[[Any], str]] = dict(_style(*flags) for flags in product((False, True), repeat=5))
_WORDS = {style: set(style.split()[1:]) for style in _STYLES}
