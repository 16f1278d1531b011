"""The leak check: what redaction has left in, or in somebody else's cassette nobody has taken out.

It shares no list with the redactor. It takes everything apart (percent signs, base64, gzip, br, zstd, JWTs, JSON in
JSON, forms, multipart, XML), and looks for known values, shapes of makers' keys, and sensitive places where something
else stands than a placeholder. What cannot be decoded is a finding. A finding never holds the secret.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from respool.cassette import codings
from respool.cassette.leaks.patterns import random_looking, sensitivity, shaped, stands_in
from respool.cassette.model import Cassette, Failure, Headers, Interaction

_DEEP = 6  # encodings inside each other
_SHORT = 6  # known values that are shorter mean nothing
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_WORD = re.compile(r"[^\s\"'<>&=]+")
_PAIR = re.compile(r"(?<![^&])([A-Za-z0-9_.%\[\]-]{1,200})=([^&\s]*)")
_IN_TEXT = re.compile(r"[?&#](?:amp;)?([A-Za-z0-9_.%\[\]-]{1,64})=([^\s&\"'<>#;\\]{1,4096})")
_FORM = re.compile(r"[A-Za-z0-9_.%\[\]-]{1,200}=[^\s<>{}\"]*")
_USER = re.compile(r"[a-z][a-z0-9+.-]{1,20}://([^\s/?#\"'<>@\\:]{0,100}):([^\s/?#\"'<>@\\]{1,200})@")
_TAG = re.compile(r"<([A-Za-z_][\w:.-]{0,63})(?:\s[^<>]{0,200})?>([^<>]{1,4096})</")
_FIELD = re.compile(r'"([^"\\]{1,80})\\{0,3}"\s*:\s*\\{0,3}"([^"\\]{1,4096})')
_EVENT = re.compile(r"^(?:data:\s?)?([{\[].*)$", re.MULTILINE)
_BOUNDARY = re.compile(r"--([^\r\n]{1,200})\r?\n")
_PART_NAME = re.compile(r'\bname="?([^";\r\n]{1,200})', re.IGNORECASE)
_SCHEME = re.compile(r"\s*([A-Za-z][\w-]{1,30})\s+(\S.*)", re.DOTALL)
_NO_VALUES = frozenset(("true", "false", "bearer", "basic"))
_NO_CODING = frozenset(("identity", "aws-chunked", "utf-8", "utf8", "none", "binary", "base64", ""))
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Leak(NamedTuple):
    """A secret, or what may hide one: the interaction (from 0), the place in it, the rule's name, and the reason."""

    interaction: int
    place: str
    rule: str
    why: str

    def __str__(self) -> str:
        return f"interaction {self.interaction + 1}, {self.place}: {self.why} ({self.rule})"


def check(cassette: Cassette | Iterable[Interaction], secrets: Iterable[str] = ()) -> list[Leak]:
    """Every leak that is found, in the order of the tape, each place and rule once. `secrets` are known values.

    >>> from respool.cassette.model import Request, Response
    >>> print(check([Interaction(Request("GET", "http://a/?api_key=Ab1Cd2Ef3Gh4Ij5K"), Response(200))])[0])
    interaction 1, request url, api_key: something else than a placeholder stands in a sensitive place (position)
    """
    dresses = [dress for secret in secrets if len(secret) >= _SHORT for dress in _dresses(secret)]
    interactions = cassette.interactions if isinstance(cassette, Cassette) else cassette
    return [
        Leak(index, *told)
        for index, interaction in enumerate(interactions)
        for told in dict.fromkeys(_Look(dresses).interaction(interaction))
    ]


def _dresses(secret: str) -> Iterator[str]:
    """How a known value looks in texts that are not taken apart: as it is, escaped, or in the midst of base64."""
    yield secret
    yield from {json.dumps(secret)[1:-1], quote(secret, safe=""), quote(quote(secret, safe=""), safe="")} - {secret}
    data = secret.encode("utf-8", "surrogateescape")
    if len(data) >= 9:
        for lead in range(3):
            sure = base64.b64encode(b" " * lead + data)[(lead * 8 + 5) // 6 : (lead + len(data)) * 8 // 6].decode()
            yield sure
            yield sure.translate({ord("+"): "-", ord("/"): "_"})


Told = tuple[str, str, str]


class _Look:
    """One look at one interaction; each method yields (place, rule, why)."""

    def __init__(self, known: list[str]) -> None:
        self.known = known

    def interaction(self, interaction: Interaction) -> Iterator[Told]:
        request, response = interaction.request, interaction.response
        yield from self.url(request.url, "request url")
        yield from self.headers(request.headers, "request")
        yield from self.body(request.body, request.headers, "request body")
        if isinstance(response, Failure):
            yield from self.text(response.message, "failure")
        else:
            yield from self.headers(response.headers, "response")
            yield from self.body(response.body, () if response.codings else response.headers, "response body")

    def url(self, url: str, place: str) -> Iterator[Told]:
        authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
        if "@" in authority:
            yield from self.value("password", authority.rpartition("@")[0].rpartition(":")[2], place, "query")
        for part in url.partition("?")[2].replace("#", "&").split("&"):
            name, _, value = part.partition("=")
            yield from self.value(unquote_plus(name), unquote_plus(value), place, "query")
        yield from self.text(url, place)

    def headers(self, headers: Headers, side: str) -> Iterator[Told]:
        for name, value in headers:
            low, place = name.lower(), f"{side} header"
            if low in ("cookie", "set-cookie"):
                pairs = value.split(";")[: 1 if low == "set-cookie" else None]
                for pair in pairs:
                    cookie, _, content = (part.strip() for part in pair.partition("="))
                    if random_looking(unquote(content.strip('"'))) and not stands_in(content):
                        yield f"{place} {name}, {cookie}", "position", _POSITION
                yield from self.text(value, f"{place} {name}", whole=True)
                continue
            yield from self.secret_header(name, value, place)
            yield from self.text(value, f"{place} {name}", whole=True)

    def secret_header(self, name: str, value: str, place: str) -> Iterator[Told]:
        scheme = _SCHEME.fullmatch(value) if sensitivity(name, "header") else None
        if scheme and (name.lower().endswith("authorization") or scheme[1].lower() in ("bearer", "basic")):
            value = scheme[2]
            if scheme[1].lower() == "basic":
                user, _, password = (_text_of(_unbase64(value)) or "").partition(":")
                if (user or password) and stands_in(user) and stands_in(password):
                    return
        yield from self.value(name, value, place, "header")

    def value(self, name: str, value: str, place: str, kind: str) -> Iterator[Told]:
        """Whether a placeholder stands where one must."""
        how = sensitivity(name, kind)
        if not how or stands_in(value) or value.startswith(("http://", "https://")):
            return
        plain = value.strip()
        certain = how == 2 and len(plain) >= 4 and plain.count(" ") < 2 and plain.lower() not in _NO_VALUES
        if certain or random_looking(plain):
            yield f"{place}, {name[:80]}", "position", _POSITION

    def body(self, body: bytes, headers: Headers, place: str) -> Iterator[Told]:
        if not body:
            return
        named = tuple(coding for coding in codings.listed(headers) if coding not in _NO_CODING)
        plain = codings.decode(body, named) if named else None
        if plain is None:
            packed = next((coding for magic, coding in _PACKED.items() if body.startswith(magic)), None)
            plain = codings.decode(body, (packed,)) if packed else body
            readable = plain is not None and _text_of(plain) is not None
            if plain is None or (named and not readable):
                coding = "/".join(named) or packed
                yield place, "undecodable", f"the {coding} body cannot be decoded, so nobody knows what is in it"
                return
        text = _text_of(plain)
        yield from self.text(plain.decode("latin-1") if text is None else text, place, whole=True)

    def text(self, text: str, place: str, depth: int = 0, *, whole: bool = False) -> Iterator[Told]:
        """Everything that a text may hide; `whole`: of a body or of what was encoded in one, which may have a structure."""
        if len(text) < _SHORT or depth > _DEEP:
            return
        for secret in self.known:
            if secret in text:
                yield place, "known value", "a known secret stands there"
                break
        for name, _ in shaped(text):
            yield place, name, f"it has the shape of a secret: {name.replace('-', ' ')}"
        if whole:
            yield from self.structure(text, place, depth)
        yield from self.loose(text, place)
        if "%" in text:
            for word in _WORD.findall(text):
                if "%" in word and (plain := unquote(word)) != word:
                    yield from self.text(plain, place, depth + 1, whole=True)
        for run in _RUN.finditer(text):
            yield from self.run(run[0], place, depth)

    def run(self, run: str, place: str, depth: int) -> Iterator[Told]:
        if not _may_be_text(_unbase64(run[:24])):
            return
        data = _unbase64(run)
        if data.startswith(b"\x1f\x8b"):
            data = codings.decode(data, ("gzip",)) or data
        plain = _text_of(data)
        if plain is not None and plain.translate(_BLANKS).isprintable():
            yield from self.text(plain, f"{place}, in base64", depth + 1, whole=True)

    def loose(self, text: str, place: str) -> Iterator[Told]:
        """Pairs and the like in the midst of any text."""
        if "=" in text:
            for pair in _IN_TEXT.finditer(text):
                yield from self.value(unquote_plus(pair[1]), unquote_plus(pair[2]), place, "parameter")
        if "://" in text and "@" in text:
            for user in _USER.finditer(text):
                if not stands_in(unquote(user[2])):
                    yield place, "position", _POSITION

    def structure(self, text: str, place: str, depth: int) -> Iterator[Told]:
        start = text[:64].lstrip()[:1]
        boundary = _BOUNDARY.match(text)
        if boundary and f"--{boundary[1].strip()}--" in text:
            for part in text.split(f"--{boundary[1].strip()}")[1:-1]:
                head, _, content = part.replace("\r\n", "\n").partition("\n\n")
                name = _PART_NAME.search(head)
                yield from self.value(name[1] if name else "", content.strip(), place, "parameter")
                yield from self.text(content, place, depth + 1, whole=True)
        elif start in ("{", "[", '"'):
            yield from self.json(text, place, depth)
        elif _FORM.fullmatch(text.strip()):
            for pair in _PAIR.finditer(text.strip()):
                value = unquote_plus(pair[2])
                yield from self.value(unquote_plus(pair[1]), value, place, "parameter")
                yield from self.text(value, f"{place}, {pair[1][:80]}", depth + 1, whole=True)
        else:
            for line in _EVENT.finditer(text):
                yield from self.json(line[1], place, depth)
            if "</" in text:
                for tag in _TAG.finditer(text):
                    yield from self.value(tag[1].rpartition(":")[2], tag[2], place, "field")

    def json(self, text: str, place: str, depth: int) -> Iterator[Told]:
        try:
            value = json.loads(text, object_pairs_hook=_Members)
        except (ValueError, RecursionError):
            for field in _FIELD.finditer(text):  # cut off, or nearly JSON: what can be read is read
                yield from self.value(field[1], field[2], place, "field")
            return
        # A string without escapes has been looked at as a part of the whole text; only a form shows nothing there.
        marks = {"\\": '"\\\n\r\t', "\\/": "/", "\\u": "&<>'"}
        escapes = "=" + "".join(marked for mark, marked in marks.items() if mark in text)
        for name, leaf in _leaves(value):
            if isinstance(leaf, str):
                yield from self.value(name, leaf, place, "field")
                if len(leaf) >= 16 and any(mark in leaf for mark in escapes):
                    yield from self.text(leaf, f"{place}, {name[:80]}", depth + 1, whole=True)


_POSITION = "something else than a placeholder stands in a sensitive place"


class _Members(list[tuple[str, Any]]):
    """An object of JSON with all its members, those of the same name, too."""


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    open_values: list[tuple[str, Any]] = [("", value)]
    while open_values:
        name, value = open_values.pop()
        if isinstance(value, _Members):
            open_values += value
        elif isinstance(value, list):
            open_values += [(name, inner) for inner in value]
        else:
            yield name, value


def _unbase64(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return b""


def _may_be_text(start: bytes) -> bool:
    """Whether these first bytes may be those of a text, or of one that is packed. A character may be cut off at the end."""
    if start.startswith(b"\x1f\x8b"):
        return True
    text = start.decode("utf-8", "replace").rstrip("\ufffd")
    return "\ufffd" not in text and text.translate(_BLANKS).isprintable()


_BLANKS = str.maketrans("", "", "\t\r\n")


def _text_of(data: bytes) -> str | None:
    """The text that the bytes are, None if they are none."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8")):
        if data.startswith(mark):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            return text if "\0" not in text[:1024] else None
    return None
