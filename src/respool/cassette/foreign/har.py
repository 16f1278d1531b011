"""HAR 1.2, which browsers, proxies and Playwright write: one entry for each request."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from respool.cassette.codings import put_on
from respool.cassette.foreign import shapes
from respool.cassette.foreign.documents import Document
from respool.cassette.foreign.shapes import Path
from respool.cassette.model import Cassette, Failure, Headers, Interaction, Request, Response, header

HAR = "har"
_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
_UTF8 = {"utf-8", "utf8", "us-ascii", "ascii"}


def recognised(value: Any) -> bool:
    """Whether a document is a HAR."""
    return isinstance(value, dict) and isinstance(value.get("log"), dict) and isinstance(value["log"].get("entries"), list)


def read(document: Document) -> Cassette:
    """The cassette of a recognised document. Raises Damage."""
    log = document.value["log"]
    made = tuple(_interaction(entry, ("log", "entries", place)) for place, entry in enumerate(log["entries"]))
    creator = log.get("creator")
    names = [creator.get("name"), creator.get("version")] if isinstance(creator, dict) else []
    writer = " ".join(name for name in names if isinstance(name, str))
    return Cassette(made, at=made[0].at if made else 0, writer=writer, origin=HAR)


def _interaction(entry: Any, path: Path) -> Interaction:
    entry = shapes.mapping(entry, path)
    here: Path = (*path, "request")
    sent = shapes.mapping(entry.get("request"), here)
    method = shapes.text(sent.get("method"), (*here, "method"))
    url = shapes.text(sent.get("url"), (*here, "url")).partition("#")[0]
    request = Request(method, url, _headers(sent, here), _posted(sent.get("postData"), (*here, "postData")))
    answer = _answer(entry.get("response"), (*path, "response"), method)
    timings = entry.get("timings")
    wait = timings.get("wait") if isinstance(timings, dict) else None
    seconds = wait / 1000 if isinstance(wait, (int, float)) and 0 < wait < 1e12 else 0.0
    return Interaction(request, answer, shapes.instant(entry.get("startedDateTime")), seconds)


def _headers(value: dict[str, Any], path: Path) -> Headers:
    """All but those with a colon in front, which is how browsers show what HTTP/2 has instead of a request line."""
    return tuple(pair for pair in shapes.headers(value.get("headers"), (*path, "headers")) if not pair[0].startswith(":"))


def _posted(value: Any, path: Path) -> bytes:
    if value is None:
        return b""
    value = shapes.mapping(value, path)
    if value.get("text") is None and isinstance(value.get("params"), list) and value["params"]:
        fields = [shapes.mapping(each, (*path, "params")) for each in value["params"]]
        pairs = [(shapes.text(each.get("name"), path), shapes.text(each.get("value", ""), path)) for each in fields]
        return urlencode(pairs).encode("ascii")
    return _content(value.get("text"), value.get("_encoding"), value.get("mimeType"), path)


def _content(text: Any, encoding: Any, mime: Any, path: Path) -> bytes:
    if text is None:
        return b""
    if encoding == "base64":
        return shapes.content({"base64_string": text}, path)[0]
    charset = _CHARSET.search(mime) if isinstance(mime, str) else None
    return shapes.content({"string": text, "encoding": charset[1] if charset else None}, path)[0]


def _answer(value: Any, path: Path, method: str) -> Response | Failure:
    value = shapes.mapping(value, path)
    number = shapes.status(value.get("status"), (*path, "status"))
    if number == 0:  # no answer came; browsers say why in a field of their own
        kind, message = value.get("_kind"), value.get("_error")
        return Failure(kind if isinstance(kind, str) else "closed", message if isinstance(message, str) else "")
    here: Path = (*path, "content")
    held = shapes.mapping(value.get("content") or {}, here)
    body = _content(held.get("text"), held.get("encoding"), held.get("mimeType"), here)
    return shapes.response(
        number, shapes.wire(value.get("statusText"), (*path, "statusText")), shapes.version(value.get("httpVersion")),
        _headers(value, path), body, decoded=True, method=method,
    )  # fmt: skip


def write(cassette: Cassette) -> tuple[bytes, list[str]]:
    """The file, bodies decoded as a HAR wants them, and what it does not hold."""
    lost = []
    answers = [each.response for each in cassette.interactions if isinstance(each.response, Response)]
    if any(answer.chunks for answer in answers):
        lost.append("the pieces of streamed bodies and their timing")
    if any(answer.codings for answer in answers):
        lost.append("the length that a compressed body had on the wire")
    if cassette.test or cassette.matching or cassette.extra:
        lost.append("the test and the matching rule of the cassette, and what else it says of itself")
    if any(not _is_utf8(each.request.body) for each in cassette.interactions):
        lost.append("for others than respool: request bodies that are no text, for which a HAR has no encoding")
    name, _, version = cassette.writer.partition(" ")
    log = {
        "version": "1.2", "creator": {"name": name, "version": version},
        "entries": [_entry(each) for each in cassette.interactions],
    }  # fmt: skip
    return (json.dumps({"log": log}, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"), lost


def _entry(interaction: Interaction) -> dict[str, Any]:
    request, answer = interaction.request, interaction.response
    wait = interaction.seconds * 1000
    sent = {
        "method": request.method, "url": request.url, "httpVersion": _spoken(answer), "cookies": [],
        "headers": _named(request.headers), "queryString": _query(request.url), "headersSize": -1,
        "bodySize": len(request.body),
    }  # fmt: skip
    if request.body:
        mime = header(request.headers, "content-type") or ""
        text, encoding = _text(request.body, mime)
        sent["postData"] = {"mimeType": mime, "text": text, **({"_encoding": encoding} if encoding else {})}
    began = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=interaction.at)
    return {
        "startedDateTime": began.isoformat().replace("+00:00", "Z"), "time": wait, "request": sent,
        "response": _came(answer), "cache": {}, "timings": {"send": 0, "wait": wait, "receive": 0},
    }  # fmt: skip


def _came(answer: Response | Failure) -> dict[str, Any]:
    if isinstance(answer, Failure):
        empty = {"size": 0, "mimeType": "x-unknown"}
        rest: dict[str, Any] = {"_kind": answer.kind, "_error": answer.message}
        return _outline(0, "", answer, (), empty, 0) | rest
    head, wire = put_on(answer)
    mime = header(head, "content-type") or ""
    text, encoding = _text(answer.body, mime)
    content = {"size": len(answer.body), "mimeType": mime, "text": text, **({"encoding": encoding} if encoding else {})}
    return _outline(answer.status, answer.reason, answer, head, content, len(wire))


def _outline(
    status: int, reason: str, answer: Response | Failure, head: Headers, content: dict[str, Any], size: int
) -> dict[str, Any]:
    return {
        "status": status, "statusText": reason, "httpVersion": _spoken(answer), "cookies": [], "headers": _named(head),
        "content": content, "redirectURL": header(head, "location") or "", "headersSize": -1, "bodySize": size,
    }  # fmt: skip


def _spoken(answer: Response | Failure) -> str:
    return answer.version if isinstance(answer, Response) else "HTTP/1.1"


def _named(head: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in head]


def _query(url: str) -> list[dict[str, str]]:
    try:
        return _named(tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True)))
    except ValueError:
        return []


def _text(body: bytes, mime: str) -> tuple[str, str | None]:
    """A body as the text that a HAR holds, or in base64 where a reader would not get the same bytes back from it."""
    charset = _CHARSET.search(mime)
    if _is_utf8(body) and (charset is None or charset[1].lower() in _UTF8 or body.isascii()):
        return body.decode("utf-8"), None
    return b64encode(body).decode("ascii"), "base64"


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
