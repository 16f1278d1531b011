"""The shapes in which other tools keep headers, bodies, versions and times, as values of ours."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from respool.cassette.codings import LIMIT, decode, known, listed
from respool.cassette.model import Headers, Response
from respool.cassette.tape import Damage

Path: TypeAlias = tuple[str | int, ...]
Disk: TypeAlias = Callable[[str], bytes]

_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(Z|GMT|UTC|[+-]\d\d:?\d\d)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HTTP_DATE = re.compile(r"(?:\w{3}, )?(\d{1,2}) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d)")
_VERSIONS = {"10": "1.0", "11": "1.1", "20": "2", "2.0": "2", "h2": "2", "30": "3", "3.0": "3", "h3": "3"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_NODES = 2_000_000  # of a parsed body: aliases in YAML can make a small file mean more than any memory holds


def mapping(value: Any, path: Path) -> dict[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise Damage(path, f"this must be an object, not {value!r:.60}")
    return value


def text(value: Any, path: Path) -> str:
    """A text that may be kept as bytes, as a number or as a symbol of Ruby."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Damage(path, f"this must be text, not {value!r:.60}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Damage(path, "it holds half a character (a lone surrogate)") from None
    return value


def extra(value: dict[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    """What else a cassette says of itself, as JSON can hold it."""
    found = {str(name): each for name, each in value.items() if name not in without}
    try:
        _weigh(found, {})
        plain: dict[str, Any] = json.loads(json.dumps(found, default=repr, allow_nan=False, skipkeys=True))
        json.dumps(plain, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise Damage((), f"what it says of itself is no JSON: {error}") from None
    return plain


def wire(value: Any, path: Path) -> str:
    """A header's name or value, each character one byte of the wire."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    found = text(value, path)
    return found if found.isascii() or max(found) <= "\xff" else found.encode("utf-8").decode("latin-1")


def headers(value: Any, path: Path) -> Headers:
    """Headers kept as an object (of texts or lists of texts), or as a list of pairs, lines or name/value objects."""
    if value is None:
        return ()
    found = []
    for number, (name, values) in enumerate(_named(value, path)):
        here = (*path, name if isinstance(value, dict) and isinstance(name, str) else number)
        for each in values if isinstance(values, (list, tuple)) else [values]:
            found.append((wire(name, here), wire(each, here)))
    return tuple(found)


def _named(value: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            if isinstance(each, str) and ":" in each:
                name, _, rest = each.partition(":")
                yield name, rest.strip()
            elif isinstance(each, dict) and "name" in each:
                yield each["name"], each.get("value")
            elif isinstance(each, (list, tuple)) and len(each) == 2:
                yield each[0], each[1]
            else:
                raise Damage((*path, number), f"this is no header: {each!r:.60}")
    else:
        raise Damage(path, f"these are no headers: {value!r:.60}")


def content(value: Any, path: Path, disk: Disk | None = None) -> tuple[bytes, bool]:
    """The bytes of a body, and whether they were kept as text; `disk` reads what was kept in a file of its own."""
    if value is None:
        return b"", False
    if isinstance(value, bytes):
        return value, False
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), True
    if isinstance(value, (list, tuple)):
        if value and all(_is_field(each) for each in value):
            return urlencode([tuple(each) for each in value]).encode("ascii"), True
        return b"".join(content(each, (*path, number))[0] for number, each in enumerate(value)), False
    if isinstance(value, dict):
        return _kept(value, path, disk)
    return text(value, path).encode("utf-8"), True


def _is_field(value: Any) -> bool:
    """A pair of a form, as vcrpy keeps what aiohttp was given."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not isinstance(value[0], str):
        return False
    return isinstance(value[1], (str, int, float, type(None))) and not _SURROGATE.search(f"{value[0]}{value[1]}")


def _kept(value: dict[str, Any], path: Path, disk: Disk | None) -> tuple[bytes, bool]:
    if disk is not None and str(value.get("file")).lower() in ("true", "yes"):
        try:
            return disk(text(value.get("string"), (*path, "string"))), False
        except OSError as error:
            raise Damage((*path, "string"), f"the file that its body was written to cannot be read: {error}") from None
    if value.get("base64_string") is not None:
        return _from_base64(value["base64_string"], (*path, "base64_string")), False
    if value.get("raw_gzip") is not None:
        here = (*path, "raw_gzip")
        packed = _from_base64(value["raw_gzip"], here)
        unpacked = decode(packed, ("deflate",))  # what R calls gzip is zlib's own frame
        if unpacked is None and (unpacked := decode(packed, ("gzip",))) is None:
            raise Damage(here, f"it is nothing packed by R, of at most {LIMIT:,} bytes")
        return unpacked, True
    if "string" in value or not value:
        inner = value.get("string")
        if isinstance(inner, str):
            return _encoded(inner, value.get("encoding")), True
        return content(inner, (*path, "string"))
    return parsed(value, path), True  # some serialisers of vcrpy keep a JSON body as the object that it is


def _encoded(inner: str, encoding: Any) -> bytes:
    if isinstance(encoding, str) and encoding:
        try:
            return inner.encode(encoding)
        except (LookupError, UnicodeError):
            pass  # ASCII-8BIT, which is Ruby's word for bytes, or a charset that the server only claimed
    return inner.encode("utf-8", "surrogatepass")


def _from_base64(value: Any, path: Path) -> bytes:
    try:
        return value if isinstance(value, bytes) else b64decode("".join(text(value, path).split()), validate=True)
    except ValueError as error:
        raise Damage(path, f"it is no base64: {error}") from None


def parsed(value: Any, path: Path) -> bytes:
    """The bytes of a JSON body that was kept as a value, as the serialisers that do so make them."""
    try:
        _weigh(value, {})
        return json.dumps(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise Damage(path, f"the body is no JSON: {error}") from None


def _weigh(value: Any, known_weights: dict[int, int]) -> int:
    if not isinstance(value, (dict, list, tuple)):
        return 1
    if id(value) not in known_weights:
        known_weights[id(value)] = _MOST_NODES  # found again inside of itself, it weighs too much
        inner = value.values() if isinstance(value, dict) else value
        known_weights[id(value)] = 1 + sum(_weigh(each, known_weights) for each in inner)
    if known_weights[id(value)] >= _MOST_NODES:
        raise ValueError("it is endless, or as good as that")
    return known_weights[id(value)]


def response(status: int, reason: str, spoken: str, head: Headers, body: bytes, *, decoded: bool, method: str) -> Response:
    """A response of a foreign cassette, consistent in itself.

    Some tools keep the body as it was sent, others decoded under headers that still name a coding. What is decoded has
    its codings put on again at playback (`decoded`: it is, if it is not in the coding that its headers name); a
    Content-Length that is not the body's is corrected.
    """
    codings: tuple[str, ...] = ()
    named = listed(head)
    if named and body:
        unpacked = decode(body, named)
        if unpacked is not None:
            body, codings = unpacked, named
        elif all(map(known, named)) and (decoded or not body.startswith(_MAGIC.get(named[-1], b""))):
            codings = named
    bodiless = method.upper() == "HEAD" or status in (204, 304) or status < 200
    if not codings and not (bodiless and not body):
        head = tuple((name, str(len(body)) if name.lower() == "content-length" else value) for name, value in head)
    return Response(status, reason, spoken, head, body, codings)


def status(value: Any, path: Path) -> int:
    """A status as a number or as its digits."""
    try:
        found = int(value)
    except (TypeError, ValueError):
        found = -1
    if isinstance(value, bool) or not 0 <= found <= 999:
        raise Damage(path, f"this is no status: {value!r:.60}")
    return found


def version(value: Any) -> str:
    """The protocol's version as "HTTP/1.1", from "1.1", 11, "HTTP/2.0", "h2" or nothing."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return "HTTP/1.1"
    found = str(value).strip().lower().removeprefix("http/")
    found = _VERSIONS.get(found, found)
    return f"HTTP/{found}" if re.fullmatch(r"\d(?:\.\d)?", found) else "HTTP/1.1"


def instant(value: Any) -> int:
    """UTC microseconds of a time in ISO 8601 or as HTTP writes it; 0 for anything else."""
    if not isinstance(value, str):
        return 0
    try:
        if found := _ISO.match(value):
            *parts, fraction, zone = found.groups()
            micro = int((fraction or "0")[:6].ljust(6, "0"))
            year, month, day, hour, minute, second = map(int, parts)
            moment = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
            if zone and zone[0] in "+-":
                offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
                moment += offset if zone[0] == "-" else -offset
        elif found := _HTTP_DATE.match(value):
            day_, month_, year_, hour_, minute_, second_ = found.groups()
            month = _MONTHS.index(month_.lower()) + 1
            moment = datetime(int(year_), month, int(day_), int(hour_), int(minute_), int(second_), tzinfo=UTC)
        else:
            return 0
    except (ValueError, OverflowError):
        return 0
    return max(0, (moment - _EPOCH) // timedelta(microseconds=1))
