"""A second opinion on leaks: the rules of kingfisher on texts that we have taken apart.

It knows the shapes of several hundred makers' keys; what it does not see are packed bodies, so it is given them decoded.
Nothing leaves the machine: its validation of keys against their makers is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from respool.cassette import codings
from respool.cassette.leaks import Leak
from respool.cassette.model import PLACEHOLDER, Cassette, Failure, Headers, Interaction
from respool.errors import UsageError

_GZIP = b"\x1f\x8b"


def kingfisher() -> Callable[[Cassette], list[Leak]]:
    """What gives the second opinion. Raises UsageError, with the command that installs it, where it is missing."""
    try:
        from kingfisher_sdk import DetectionScanner
    except ImportError as error:
        raise UsageError("kingfisher is not installed", why=str(error), command="pip install 'respool[scan]'") from None
    scanner = DetectionScanner(inline_ignores=False)

    def opinion(cassette: Cassette) -> list[Leak]:
        return list(dict.fromkeys(
            Leak(number, place, hit.rule_id, f"kingfisher takes it for a secret: {hit.rule_name}")
            for number, interaction in enumerate(cassette.interactions)
            for place, data in _texts(interaction)
            for hit in scanner.scan(data) if hit.visible and not PLACEHOLDER.search(hit.secret)
        ))  # fmt: skip

    return opinion


def _texts(interaction: Interaction) -> Iterator[tuple[str, bytes]]:
    request, answer = interaction.request, interaction.response
    yield "request url", request.url.encode("utf-8", "replace")
    yield from _parts(request.headers, request.body, "request")
    if not isinstance(answer, Failure):
        yield from _parts(answer.headers, answer.body, "response")


def _parts(headers: Headers, body: bytes, side: str) -> Iterator[tuple[str, bytes]]:
    for name, value in headers:
        yield f"{side} header {name}", f"{name}: {value}".encode("utf-8", "replace")
    if body:
        unpacked = codings.decode(body, ("gzip",)) if body.startswith(_GZIP) else None
        yield f"{side} body", body if unpacked is None else unpacked
