"""Cassettes of vcrpy: YAML and JSON, of its own serialisers and of those that users wrote, back to version 0.

    interactions:
    - request: {method: GET, uri: 'http://...', headers: {accept: ['*/*']}, body: null}
      response: {status: {code: 200, message: OK}, headers: {...}, body: {string: ...}}
    version: 1

Also read: headers as lists; `status_code` and `content` (httpx before vcrpy 6); `parsed_body`; a body that is a JSON
object; `base64_string`; requests in parts (protocol, host, port, path), as before version 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from respool.cassette.codings import put_on
from respool.cassette.foreign import shapes
from respool.cassette.foreign.documents import Document
from respool.cassette.foreign.shapes import Path
from respool.cassette.model import Cassette, Failure, Headers, Interaction, Request, Response
from respool.errors import CassetteRefused

YAML, JSON = "vcrpy-yaml", "vcrpy-json"


def recognised(value: Any) -> bool:
    """Whether a document is of vcrpy."""
    if isinstance(value, dict):
        return isinstance(value.get("interactions"), list) and "format" not in value
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and {"request", "response"} <= first.keys()


def read(document: Document) -> Cassette:
    """The cassette of a recognised document. Raises Damage."""
    value = document.value
    old = isinstance(value, list)
    prefix: Path = () if old else ("interactions",)
    entries = value if old else value["interactions"]
    made = tuple(_interaction(entry, (*prefix, place)) for place, entry in enumerate(entries))
    extra = {} if old else shapes.extra(value, ("interactions", "version"))
    return Cassette(made, writer="vcrpy", origin=JSON if document.is_json else YAML, extra=extra)


def _interaction(entry: Any, path: Path) -> Interaction:
    entry = shapes.mapping(entry, path)
    request = _request(entry.get("request"), (*path, "request"))
    answer = _response(entry.get("response"), (*path, "response"), request.method)
    return Interaction(request, answer, shapes.instant(entry.get("recorded_at")))


def _request(value: Any, path: Path) -> Request:
    value = shapes.mapping(value, path)
    method = shapes.text(value.get("method"), (*path, "method"))
    url = value.get("uri", value.get("url"))
    if url is None and "host" in value:
        url = _from_parts(value, path)
    body, _ = _content(value, "body", path)
    return Request(method, shapes.text(url, (*path, "uri")).partition("#")[0], _headers(value, path), body)


def _from_parts(value: dict[str, Any], path: Path) -> str:
    scheme, host = (shapes.text(value.get(name), (*path, name)) for name in ("protocol", "host"))
    port, rest = value.get("port"), shapes.text(value.get("path", "/"), (*path, "path"))
    usual = port is None or str(port) == {"http": "80", "https": "443"}.get(scheme)
    return f"{scheme}://{host}{'' if usual else f':{port}'}{rest}"


def _headers(value: dict[str, Any], path: Path) -> Headers:
    return shapes.headers(value.get("headers"), (*path, "headers"))


def _content(value: dict[str, Any], name: str, path: Path) -> tuple[bytes, bool]:
    if value.get("parsed_body") is not None:
        return shapes.parsed(value["parsed_body"], (*path, "parsed_body")), True
    return shapes.content(value.get(name), (*path, name))


def _response(value: Any, path: Path, method: str) -> Response:
    value = shapes.mapping(value, path)
    head = _headers(value, path)
    body, was_text = _content(value, "body" if "body" in value or "content" not in value else "content", path)
    found = value.get("status", value.get("status_code"))
    reason: Any = ""
    if isinstance(found, dict):
        reason = found.get("message")
        found = found.get("code", found.get("status_code"))
    elif isinstance(found, (list, tuple)) and len(found) == 2:
        found, reason = found
    spoken = shapes.version(value.get("protocol_version", value.get("http_version", value.get("version"))))
    return shapes.response(
        shapes.status(found, (*path, "status")), shapes.wire(reason, (*path, "status")), spoken, head, body,
        decoded=was_text, method=method,
    )  # fmt: skip


def write(cassette: Cassette, kind: str, where: str) -> tuple[bytes, list[str]]:
    """The file as vcrpy writes it, bodies as they are on the wire, and what it does not hold.

    Raises CassetteRefused for what would play differently: a recorded failure, and in JSON a body that is no text.
    """
    entries = []
    for place, interaction in enumerate(cassette.interactions):
        answer = interaction.response
        if isinstance(answer, Failure):
            raise _refused(where, place, "a request that failed has no place in a cassette of vcrpy")
        head, wire = put_on(answer)
        request = interaction.request
        came = {
            "status": {"code": answer.status, "message": answer.reason}, "headers": _grouped(head),
            "body": {"string": _plain(wire)},
        }  # fmt: skip
        if answer.version != "HTTP/1.1":
            came["protocol_version"] = answer.version
        sent = {
            "method": request.method, "uri": request.url, "headers": _grouped(request.headers),
            "body": _plain(request.body) if request.body else None,
        }  # fmt: skip
        if kind == JSON and any(isinstance(body, bytes) for body in (_plain(wire), sent["body"])):
            raise _refused(where, place, "a body that is no text has no place in vcrpy's JSON; its YAML can hold it")
        entries.append({"request": sent, "response": came})
    document = {**cassette.extra, "interactions": entries, "version": 1}
    return (_as_json(document) if kind == JSON else _as_yaml(document)), _lost(cassette)


def _plain(body: bytes) -> str | bytes:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def _grouped(head: Headers) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in head:
        found.setdefault(name, []).append(value)
    return found


def _as_json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=4) + "\n").encode("utf-8")


def _as_yaml(document: dict[str, Any]) -> bytes:
    import yaml

    written: str = yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    return written.encode("utf-8")


def _lost(cassette: Cassette) -> list[str]:
    found = list(cassette.interactions)
    answers = [each.response for each in found if isinstance(each.response, Response)]
    heads = [each.request.headers for each in found] + [answer.headers for answer in answers]
    losses = {
        "when each request was made, and how long it took": any(each.at or each.seconds for each in found),
        "the pieces of streamed bodies and their timing": any(answer.chunks for answer in answers),
        "the order of a header that stands twice among others": any(map(_mixed, heads)),
        "the length that a compressed body had on the wire": any(answer.codings for answer in answers),
        "the test, the time and the matching rule of the cassette": bool(cassette.test or cassette.at or cassette.matching),
    }
    return [what for what, is_lost in losses.items() if is_lost]


def _mixed(head: Headers) -> bool:
    return head != _flat(_grouped(head).items())


def _flat(grouped: Iterable[tuple[str, list[str]]]) -> Headers:
    return tuple((name, value) for name, values in grouped for value in values)


def _refused(where: str, place: int, why: str) -> CassetteRefused:
    return CassetteRefused(
        f"interaction {place} of {where!r} cannot be written in its format", where=where, why=why,
        command=f"respool cassettes convert {where}   (to respool's own format, which holds it)",
    )  # fmt: skip
