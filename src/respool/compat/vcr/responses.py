"""vcrpy's responses are dictionaries; this is the one place that translates them."""

from __future__ import annotations

from typing import Any

from respool.cassette.codings import known, listed, put_on, taken_off
from respool.cassette.model import Failure, Response


def of_ours(response: Response | Failure) -> dict[str, Any]:
    """{status: {code, message}, headers: {name: [values]}, body: {string: wire bytes}}. Raises ValueError for a failure."""
    if isinstance(response, Failure):
        raise ValueError(f"vcrpy's form holds no failed request: {response.kind} {response.message}")
    wire_headers, body = put_on(response)
    headers: dict[str, list[str]] = {}
    for name, value in wire_headers:
        headers.setdefault(name, []).append(value)
    return {"status": {"code": response.status, "message": response.reason}, "headers": headers, "body": {"string": body}}


def ours(stored: dict[str, Any]) -> Response:
    """The dictionary in our form."""
    status = stored.get("status") or {}
    body = (stored.get("body") or {}).get("string") or b""
    if isinstance(body, str):
        body = body.encode("utf-8")
    headers = tuple(
        (name, str(value))
        for name, values in (stored.get("headers") or {}).items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
    )
    decoded, codings = taken_off(headers, bytes(body))
    if decoded and not codings:
        # Plain text under a header that says otherwise, as vcrpy keeps it for httpx and aiohttp: it is encoded to be played.
        codings = tuple(coding for coding in listed(headers) if known(coding))
    return Response(int(status.get("code") or 200), status.get("message") or "", "HTTP/1.1", headers, decoded, codings)
