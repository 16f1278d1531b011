"""vcrpy's matchers as functions, for suites that call them; our own look-up translates their names instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from respool.cassette.matching import Matching
from respool.compat.vcr.request import Request

Matcher = Callable[[Any, Any], Any]


def _made(name: str) -> Matcher:
    rule = Matching.of_vcr((name,))

    def matcher(r1: Request, r2: Request) -> None:
        if rule.key(r1.ours()) != rule.key(r2.ours()):
            raise AssertionError(f"{name} differs: {_shown(name, r1)} != {_shown(name, r2)}")

    matcher.__name__ = matcher.__qualname__ = name
    matcher.__doc__ = f"Raise AssertionError if the {name} of the two requests differs."
    return matcher


def _shown(name: str, request: Request) -> str:
    value = getattr(request, "body" if name == "raw_body" else name)
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


method, uri, scheme, host, port, path, query, headers, raw_body, body = (
    _made(name) for name in ("method", "uri", "scheme", "host", "port", "path", "query", "headers", "raw_body", "body")
)
BUILT_IN: dict[str, Matcher] = {
    "method": method, "uri": uri, "url": uri, "scheme": scheme, "host": host, "port": port, "path": path, "query": query,
    "headers": headers, "raw_body": raw_body, "body": body,
}  # fmt: skip


def requests_match(r1: Request, r2: Request, matchers: list[Matcher]) -> bool:
    """Whether no matcher objects: False and AssertionError are objections."""
    for matcher in matchers:
        try:
            answer = matcher(r1, r2)
        except AssertionError:
            return False
        if answer is not None and not answer:
            return False
    return True
