"""Cassettes with `http_interactions`: of Ruby's vcr, of R's vcr, and of Betamax, which took over Ruby's form as JSON.

    http_interactions:
    - request: {method: get, uri: 'http://...', headers: {...}, body: {encoding: UTF-8, string: ''}}
      response: {status: {code: 200, message: OK}, headers: {...}, body: {encoding: UTF-8, base64_string: ...}}
      recorded_at: Tue, 01 Nov 2011 04:49:54 GMT
    recorded_with: VCR 6.1.0

Also read: Ruby's version 1 (a list of structs), a body that is a text by itself, R's `raw_gzip` and bodies that R wrote
to a file of their own, Betamax's `status_code`. None of the three is written: their tools would have to play it.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from respool.cassette.foreign import shapes
from respool.cassette.foreign.documents import Document
from respool.cassette.foreign.shapes import Disk, Path
from respool.cassette.model import Cassette, Interaction, Request, Response

BETAMAX, RUBY, R = "betamax", "ruby-vcr", "r-vcr"
_USUAL_PORT = re.compile(r"^(http://[^/?#]*):80(?=[/?#]|$)|^(https://[^/?#]*):443(?=[/?#]|$)")


def recognised(value: Any) -> bool:
    """Whether a document is of one of the three."""
    if isinstance(value, dict):
        return isinstance(value.get("http_interactions"), list)
    return _is_version_1(value)


def _is_version_1(value: Any) -> bool:
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    answer = value[0].get("response")
    return isinstance(value[0].get("request"), dict) and isinstance(answer, dict) and "http_version" in answer


def read(document: Document, where: str) -> Cassette:
    """The cassette of a recognised document at `where`. Raises Damage."""
    value = document.value
    old = isinstance(value, list)
    entries = value if old else value["http_interactions"]
    prefix: Path = () if old else ("http_interactions",)
    sayers = [value, *entries[:1]]  # R's vcr said it in every interaction at first
    says = [each["recorded_with"] for each in sayers if isinstance(each, dict) and isinstance(each.get("recorded_with"), str)]
    writer = says[0] if says else ""
    by_r = "webmockr" in writer or writer.startswith(("vcr/", "VCR-vcr/"))
    origin = BETAMAX if document.is_json else R if by_r else RUBY
    made = tuple(_interaction(entry, (*prefix, place), _beside(where)) for place, entry in enumerate(entries))
    extra = {} if old else shapes.extra(value, ("http_interactions", "recorded_with"))
    return Cassette(made, at=made[0].at if made else 0, writer=writer, origin=origin, extra=extra)


def _beside(where: str) -> Disk:
    """Reads what R's vcr wrote to disk: only below the folder around the cassette's own, whatever a cassette says."""
    folder = os.path.dirname(os.path.abspath(where))
    allowed = os.path.realpath(os.path.dirname(folder))

    def read_file(name: str) -> bytes:
        for base in (folder, os.path.dirname(folder)):
            path = os.path.realpath(os.path.join(base, name))
            if os.path.commonpath([path, allowed]) == allowed and os.path.isfile(path):
                with open(path, "rb") as file:
                    return file.read()
        raise FileNotFoundError(f"{name!r} is not below {allowed!r}")

    return read_file


def _interaction(entry: Any, path: Path, disk: Disk) -> Interaction:
    entry = shapes.mapping(entry, path)
    here: Path = (*path, "request")
    sent = shapes.mapping(entry.get("request"), here)
    method = shapes.text(sent.get("method"), (*here, "method")).removeprefix(":").upper()
    url = _USUAL_PORT.sub(r"\1\2", shapes.text(sent.get("uri"), (*here, "uri")).partition("#")[0])
    body, _ = shapes.content(sent.get("body"), (*here, "body"))
    request = Request(method, _with_path(url), shapes.headers(sent.get("headers"), (*here, "headers")), body)
    answer = _response(entry.get("response"), (*path, "response"), method, disk)
    return Interaction(request, answer, shapes.instant(entry.get("recorded_at")))


def _with_path(url: str) -> str:
    """Every client asks for "/" where an address has no path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.path or not parts.netloc:
        return url
    return url.replace(parts.netloc, parts.netloc + "/", 1)


def _response(value: Any, path: Path, method: str, disk: Disk) -> Response:
    value = shapes.mapping(value, path)
    found, reason = value.get("status", value.get("status_code")), ""
    if isinstance(found, dict):
        reason = shapes.wire(found.get("message"), (*path, "status", "message"))
        found = found.get("code", found.get("status_code"))
    head = shapes.headers(value.get("headers"), (*path, "headers"))
    body, was_text = shapes.content(value.get("body"), (*path, "body"), disk)
    return shapes.response(
        shapes.status(found, (*path, "status")), reason, shapes.version(value.get("http_version")), head, body,
        decoded=was_text, method=method,
    )  # fmt: skip
