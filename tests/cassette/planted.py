"""Twelve kinds of secrets in eleven places of an interaction; made when the tests run, so that no scanner finds them here.

Every text that has the shape of a maker's key is put together from pieces.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from respool.cassette.model import Interaction, Request, Response


class Planted(NamedTuple):
    """A secret of a kind, in a place of an interaction."""

    kind: str
    place: str
    secret: str
    interaction: Interaction


def _drawn(chance: random.Random, alphabet: str, length: int) -> str:
    while True:
        text = "".join(chance.choice(alphabet) for _ in range(length))
        if any(each.isdigit() for each in text) and any(each.isalpha() for each in text):
            return text


def _jwt(chance: random.Random) -> str:
    parts = [b'{"alg":"HS256","typ":"JWT"}', json.dumps({"sub": str(chance.random()), "exp": 1700000000}).encode()]
    parts.append(chance.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _private_key(chance: random.Random) -> str:
    lines = base64.encodebytes(chance.randbytes(300)).decode()
    kind = "RSA " + "PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{lines}-----END {kind}-----"


_62 = string.ascii_letters + string.digits
KINDS: dict[str, Callable[[random.Random], str]] = {
    "openai": lambda chance: "sk-" + "proj-" + _drawn(chance, _62 + "_-", 60),
    "anthropic": lambda chance: "sk-" + "ant-api03-" + _drawn(chance, _62 + "_-", 90) + "AA",
    "google": lambda chance: "AI" + "za" + _drawn(chance, _62 + "_-", 35),
    "github": lambda chance: "gh" + "p_" + _drawn(chance, _62, 36),
    "stripe": lambda chance: "sk" + "_live_" + _drawn(chance, _62, 24),
    "jwt": _jwt,
    "private key": _private_key,
    "hex-32": lambda chance: _drawn(chance, "0123456789abcdef", 32),
    "base62-40": lambda chance: _drawn(chance, _62, 40),
    "uuid session": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "aws id": lambda chance: "AK" + "IA" + _drawn(chance, string.ascii_uppercase + "234567", 16),
    "aws secret": lambda chance: _drawn(chance, _62 + "/+", 40),
}

URL = "https://api.example.com/v1/things"
_OK = Response(200, headers=(("Content-Type", "application/json"),), body=b'{"ok": true}')


def _answered(body: bytes, *headers: tuple[str, str]) -> Interaction:
    return Interaction(Request("GET", URL), Response(200, headers=headers, body=body))


def _sent(*headers: tuple[str, str], url: str = URL, body: bytes = b"") -> Interaction:
    return Interaction(Request("POST" if body else "GET", url, headers, body), _OK)


def _one_line(secret: str) -> str:
    return secret.replace("\n", "\\n")


def _as_json(name: str, secret: str) -> bytes:
    return json.dumps({"id": 7, name: secret, "total_tokens": 12}).encode()


PLACES: dict[str, Callable[[str], Interaction]] = {
    "plain JSON": lambda secret: _answered(_as_json("api_key", secret)),
    "neutral JSON key": lambda secret: _answered(_as_json("remark", secret)),
    "base64 body": lambda secret: _answered(base64.b64encode(_as_json("access_token", secret))),
    "gzip body": lambda secret: _answered(gzip.compress(_as_json("client_secret", secret), mtime=0)),
    "Cookie": lambda secret: _sent(("Cookie", f"theme=dark; session={quote(secret, safe='')}")),
    "Set-Cookie": lambda secret: _answered(b"", ("Set-Cookie", f"session={quote(secret, safe='')}; Path=/; HttpOnly")),
    "URL query": lambda secret: _sent(url=f"{URL}?limit=3&access_token={quote(secret, safe='')}"),
    "Bearer": lambda secret: _sent(("Authorization", f"Bearer {_one_line(secret)}")),
    "Basic": lambda secret: _sent(("Authorization", "Basic " + base64.b64encode(f"me:{secret}".encode()).decode())),
    "X-Api-Key": lambda secret: _sent(("X-Api-Key", _one_line(secret))),
    "form field": lambda secret: _sent(
        ("Content-Type", "application/x-www-form-urlencoded"), body=f"user=me&password={quote(secret, safe='')}".encode()
    ),
}


def table(seed: int = 1) -> Iterator[Planted]:
    """All 132 of them, the same for the same seed."""
    chance = random.Random(seed)
    for kind, draw in KINDS.items():
        for place, plant in PLACES.items():
            secret = draw(chance)
            yield Planted(kind, place, secret, plant(secret))


def survives(secret: str, interaction: Interaction) -> bool:
    """Whether the secret can still be read off the interaction, by a look that knows it and takes everything apart."""
    request, response = interaction.request, interaction.response
    assert isinstance(response, Response)
    texts = [request.url, *(value for _, value in (*request.headers, *response.headers))]
    bodies = [request.body, response.body, *(text.encode("latin-1") for text in texts)]
    seen = list(bodies)
    for body in bodies:
        if body.startswith(b"\x1f\x8b"):
            seen.append(gzip.decompress(body))
        for word in body.replace(b"=", b" ").split():
            try:
                seen.append(base64.b64decode(word + b"=" * (-len(word) % 4)))
            except ValueError:
                continue
    spelled = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], _one_line(secret)]
    return any(spelling.encode() in text for spelling in spelled for text in seen)
