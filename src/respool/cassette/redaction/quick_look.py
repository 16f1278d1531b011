"""Whether a text can be left alone, in a microsecond: a superset of what the rules find, made of substring searches.

Nearly every request of a suite holds no secret but the one in its header. This is what makes redacting it cheap.
"""

from __future__ import annotations

import re

from respool.cassette.redaction.sensitive_names import STEMS, Grade, grade

_PARAMETER = re.compile(rb'(?<![^&?#\s"=<>])([^&?#\s"=<>]+)=')
_ENCODED = re.compile(rb'%[0-9A-Fa-f]{2}[^&?#\s"=<>]*=')  # in the name of a parameter, which must be decoded first
_ELEMENT = re.compile(rb"<([A-Za-z_][A-Za-z0-9_:.-]{0,63})")
_NESTED = re.compile(r"[=@{\[<]")  # marks of a text that has names in itself
_APART = re.compile(rb'"\s+:')
_RUN = 20  # no shape of a secret, and no base64 of a text worth a look, is shorter
_LONG = b"a" * _RUN
_SEEN = 4096


def _marked(further: str) -> bytes:
    return bytes(97 if (chr(code).isalnum() and code < 128) or chr(code) in further else 32 for code in range(256))


_IN_TEXT, _IN_URL = _marked("_-+/="), _marked("_-")
_neutral: set[bytes] = set()  # names of JSON fields that were graded so


def is_harmless(body: bytes) -> bool:
    """Whether no default rule can find anything in this body (of any kind). False may be wrong, True never is.

    >>> is_harmless(b'{"max_tokens": 3}'), is_harmless(b'{"token": "x"}')
    (True, False)
    """
    # Single bytes are looked for first: that takes a tenth of the time.
    if _LONG in body.translate(_IN_TEXT) or (b"@" in body and b"://" in body) or (b"\\" in body and b"\\u00" in body):
        return False
    first = body[:1]
    if first not in (b"{", b"[") and (first in (b"\x1f", b"-") or b"=" in body[:65]):
        return False  # packed, multipart, or a form: rare and short enough to be looked at in full
    if b"%" in body and _ENCODED.search(body):
        return False
    low = body.lower()
    for stem in STEMS:
        if stem in low:
            hidden = b"----begin" in low or b"bearer " in low or (b"%" in low and b"%3d" in low)
            return not hidden and _names_are_neutral(body)
    return True


def is_harmless_url(url: str) -> bool:
    """The same for a URL.

    >>> is_harmless_url("https://a/x?page_token=1"), is_harmless_url("https://a/x?token=1")
    (True, False)
    """
    if "@" in url or "#" in url or "-----" in url or has_long_word(url):
        return False
    _, mark, query = url.partition("?")
    if "%" in query:
        return False
    for pair in query.split("&") if mark else ():
        name, _, value = pair.partition("=")
        if len(value) > 8 and not value.isalnum():
            return False
        if grade(name, "query") is not Grade.NEUTRAL:
            return False
    return True


def is_harmless_header(name: str, value: str) -> bool:
    """The same for a header.

    >>> is_harmless_header("Accept", "*/*"), is_harmless_header("X-Api-Key", "k")
    (True, False)
    """
    if _NESTED.search(value) or grade(name, "header") is not Grade.NEUTRAL:
        return False
    return len(value) < _RUN or not (has_long_word(value) or "earer " in value or "-----" in value)


def has_long_word(text: str) -> bool:
    """Whether there is a word so long that it might be a secret."""
    return len(text) >= _RUN and _LONG in text.encode("latin-1", "replace").translate(_IN_URL)


def _names_are_neutral(body: bytes) -> bool:
    if _APART.search(body):
        return False  # a blank before a colon: nobody's encoder writes it
    for piece in body.split(b'":')[:-1]:
        name = piece[piece.rfind(b'"') + 1 :] if piece[-1:] != b"\\" else _escaped_name(piece)
        if name not in _neutral:
            if grade(name.decode("latin-1"), "json") is not Grade.NEUTRAL:
                return False
            if len(name) < 64:
                if len(_neutral) > _SEEN:
                    _neutral.clear()
                _neutral.add(name)
    found = [(name, "query") for name in _PARAMETER.findall(body)] if b"=" in body else []
    if b"</" in body:
        found += [(name, "xml") for name in _ELEMENT.findall(body)]
    return all(grade(name.decode("latin-1"), place) is Grade.NEUTRAL for name, place in found)


def _escaped_name(piece: bytes) -> bytes:
    """A name in JSON in JSON, where quotes stand behind backslashes."""
    piece = piece.rstrip(b"\\")
    return piece[piece.rfind(b'"') + 1 :]
