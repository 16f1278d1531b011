"""The recorded calls that every player gets: the same addresses, headers and bodies for all of them."""

from __future__ import annotations

import json
from typing import NamedTuple

REQUEST_HEADERS = {"accept": "*/*", "user-agent": "bench"}


class Entry(NamedTuple):
    """One recorded GET."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def entry(number: int) -> Entry:
    """The call of that number, 0 or more."""
    body = json.dumps({
        "id": number, "name": f"item {number}", "place": {"city": "Oslo", "country": "Norway", "zip": "0150"},
        "tags": ["first", "second", "third"], "price": 12.5, "currency": "NOK", "in_stock": True,
    }).encode()  # fmt: skip
    headers = (
        ("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body))),
        ("Date", "Sat, 21 Nov 2026 08:00:00 GMT"), ("Server", "nginx/1.25"), ("Cache-Control", "max-age=60"),
        ("X-Request-Id", f"r{number}"),
    )  # fmt: skip
    return Entry(f"https://api.example.com/items/{number}?lang=en", headers, body)
