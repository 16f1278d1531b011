"""The cassette format, version 1: bytes ⇄ Cassette.

    {
      "format": 1,
      "writer": "respool 0.1.0",
      "at": 1767225600000000,                    UTC microseconds, as everywhere here
      "test": "tests/test_weather.py::test_oslo",
      "matching": {},                            what Matching.described() said
      "extra": {},
      "interactions": [
        {
          "at": 1767225600000000,
          "seconds": 0.21,
          "request": {
            "method": "POST",
            "url": "https://api.example.com/search",
            "headers": {"Accept": "*/*"},        a list of pairs where a name occurs twice
            "body": {"json": {"city": "Oslo"}, "style": "compact"}
          },
          "response": {                          or "failure": {"kind": "connect", "message": "refused"}
            "status": 200,
            "reason": "OK",
            "version": "HTTP/2",
            "headers": {"Content-Encoding": "gzip"},
            "codings": ["gzip"],
            "body": {"text": ["one\\n", "two\\n"]},
            "chunks": [[4, 0.0], [4, 0.013]]
          }
        }
      ]
    }

What is empty, zero or HTTP/1.1 is left out. The forms of a body are those of body_forms.py, and {"file": digest} for
one of more than 64 KiB: it is a file of its own, named by its content. The same Cassette always gives the same bytes.
A file with a name that is not listed here is refused: a misspelt key must not silently be an absent one.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from respool.canonical import digest
from respool.cassette import body_forms
from respool.cassette.model import Cassette, Failure, Headers, Interaction
from respool.cassette.tape import Damage, Tape, checked
from respool.errors import CassetteUnreadable

FORMAT = 1
LARGEST_INLINE = 65_536

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version n → what makes a document of version n + 1 of one of version n. A version is never left out."""

_HEADER = {"writer": str, "at": int, "test": str, "matching": dict, "extra": dict}
_LARGE = 1 << 18  # from here on, a load is faster while the cyclic garbage collector does not look for garbage in it
__tracebackhide__ = True  # an error is shown where a cassette was asked for
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # half a character: only an escape lets one in, and no bytes let it out
_UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Written(NamedTuple):
    """The bytes of a cassette's file, and of the files beside it: digest → content."""

    data: bytes
    side: Mapping[str, bytes]


def read(data: bytes, where: str, side: Callable[[str], bytes] | None = None) -> Cassette:
    """The cassette that `data` holds. `where` names the file in messages; `side` reads a side file by its digest.

    Raises CassetteUnreadable, with line and byte, for whatever is not a cassette of this or an older version. In a large
    one, bodies that are stored as JSON get their bytes when they are asked for; all else is made sure of here.
    """
    # What is read stays, so no collection would find anything, but each would walk through all that was read so far.
    pausing = len(data) > _LARGE and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        return _read(data, where, side)
    finally:
        if pausing:
            gc.enable()


def _read(data: bytes, where: str, side: Callable[[str], bytes] | None) -> Cassette:
    try:
        text = data.decode("utf-8")
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise unreadable(where, f"byte {error.start}", f"it is no UTF-8 text: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise unreadable(where, _shown(text, error.pos), f"it is no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise unreadable(where, None, f"it is no JSON that can be read: {error}") from None
    try:
        document = _upgraded(document)
        entries = document["interactions"]
        large = len(data) > _LARGE
        checked(entries, side, later=large and ("\\" not in text or not _SURROGATE.search(text)))
        tape = Tape(entries)
        # Nearly all of a small tape is asked for, and one after the other costs less than each between other things.
        return Cassette(
            tape if large else tuple(tape), **{name: document[name] for name in _HEADER if name in document}
        )
    except Damage as damage:
        from respool.cassette.json_places import place

        raise unreadable(where, _shown(text, place(text, damage.path)), str(damage)) from None


def _upgraded(found: Any) -> dict[str, Any]:
    """A document of the present version, of whatever version it was found in; its header and its outline are right."""
    if type(found) is not dict:
        raise Damage((), "it is not an object")
    document: dict[str, Any] = found
    version = document.get("format")
    if type(version) is not int or version < 1:
        raise Damage(("format",), 'it does not say "format": 1, as a cassette of respool does')
    if version > FORMAT:
        raise Damage(("format",), f"it is of format {version}, this respool reads up to {FORMAT}; a newer one wrote it")
    for step in range(version, FORMAT):
        document = UPGRADES[step](document)
    for name, value in document.items():
        kind = _HEADER.get(name)
        if kind is None:
            if name not in ("format", "interactions"):
                raise Damage((name,), f"{name!r} is no part of a cassette")
        elif type(value) is not kind:
            raise Damage((name,), f"{name!r} must be of type {kind.__name__}, not {value!r:.60}")
        elif kind is dict and value:
            _finite(name, value)
    if type(document.get("interactions")) is not list:
        raise Damage(("interactions",), "it has no list of interactions")
    return document


def _finite(name: str, value: Any) -> None:
    try:
        _compact(value)
    except ValueError:  # 1e999 is read as infinity, and could not be written again
        raise Damage((name,), "it holds a number that JSON does not have") from None


def unreadable(where: str, place: str | None, why: str) -> CassetteUnreadable:
    """The error of a file that is no cassette; `place` is the line or byte in it."""
    return CassetteUnreadable(
        f"{where!r} cannot be read as a cassette", where=f"{where}, {place}" if place else where, why=why,
        command=f"git log -p -- {where}   (to see what changed; respool never overwrites what it cannot read)",
    )  # fmt: skip


def _shown(text: str, at: int) -> str:
    from respool.cassette.json_places import shown

    return shown(text, at)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_Fields = list[tuple[str, str]]


def write(cassette: Cassette) -> Written:
    """The bytes of `cassette`, and of its side files. Raises ValueError for a number that JSON does not have."""
    side: dict[str, bytes] = {}
    fields: _Fields = [("format", str(FORMAT))]
    for name in _HEADER:
        value = getattr(cassette, name)
        if value:
            fields.append((name, _laid_out(dict(value) if isinstance(value, Mapping) else value, "  ")))
    entries = [_object(_interaction(each, side), "    ") for each in cassette.interactions]
    fields.append(("interactions", _array(entries, "  ")))
    # Characters that a reviewer would not see, or that turn the text around them, are shown by their numbers.
    text = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", _object(fields, "") + "\n")
    return Written(text.encode("utf-8"), side)


def _interaction(interaction: Interaction, side: dict[str, bytes]) -> _Fields:
    request, response = interaction.request, interaction.response
    pad = "      "
    fields: _Fields = []
    if interaction.at:
        fields.append(("at", _compact(interaction.at)))
    if interaction.seconds:
        fields.append(("seconds", _compact(interaction.seconds)))
    sent: _Fields = [("method", _compact(request.method)), ("url", _compact(request.url))]
    sent += _content(request.headers, request.body, side)
    fields.append(("request", _object(sent, pad)))
    if isinstance(response, Failure):
        failure: _Fields = [("kind", _compact(response.kind))]
        if response.message:
            failure.append(("message", _compact(response.message)))
        fields.append(("failure", _object(failure, pad)))
        return fields
    came: _Fields = [("status", _compact(response.status))]
    if response.reason:
        came.append(("reason", _compact(response.reason)))
    if response.version != "HTTP/1.1":
        came.append(("version", _compact(response.version)))
    came += _content(response.headers, response.body, side, response.codings)
    if response.chunks:
        came.append(("chunks", _compact(response.chunks)))
    fields.append(("response", _object(came, pad)))
    return fields


def _content(headers: Headers, body: bytes, side: dict[str, bytes], codings: Sequence[str] = ()) -> _Fields:
    pad = "        "
    fields: _Fields = []
    if headers:
        names = dict(headers)
        alike = len(names) == len(headers)
        pairs = [_compact(pair) for pair in headers]
        fields.append(("headers", _laid_out(names, pad) if alike else _array(pairs, pad)))
    if codings:
        fields.append(("codings", _compact(codings)))
    if len(body) > LARGEST_INLINE:
        name = digest(body)
        side[name] = body
        fields.append(("body", _compact({"file": name})))
    elif body:
        fields.append(("body", _laid_out(body_forms.formed(body), pad)))
    return fields


def _laid_out(value: Any, pad: str) -> str:
    # json's own indentation is a chain of generators in Python, and five times slower than this.
    if isinstance(value, dict) and value:
        return _object([(_compact(key)[1:-1], _laid_out(inner, pad + "  ")) for key, inner in value.items()], pad)
    if isinstance(value, list) and value:
        return _array([_laid_out(inner, pad + "  ") for inner in value], pad)
    return _compact(value)


def _object(fields: _Fields, pad: str) -> str:
    return "{\n" + ",\n".join(f'{pad}  "{name}": {text}' for name, text in fields) + f"\n{pad}}}"


def _array(texts: Iterable[str], pad: str) -> str:
    inner = ",\n".join(f"{pad}  {text}" for text in texts)
    return f"[\n{inner}\n{pad}]" if inner else "[]"
