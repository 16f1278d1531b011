"""aioresponses: what it lets through is sent by the session's own method, where our hook stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respool.cassette.clients.patches import Method, replace
from respool.cassette.hosts import refused


def patch(aioresponses: Any) -> None:
    """Hear of requests that the mocks refuse."""

    def match(original: Method) -> Method:
        async def match(mock: Any, method: str, url: Any, **options: Any) -> Any:
            answer = await original(mock, method, url, **options)
            if answer is None and not mock.passthrough_unmatched:
                refused("aioresponses", f"{method} {url}", "mocked")
            return answer

        return match

    replace(aioresponses.aioresponses, "match", match)


@contextmanager
def let_through(host: Any) -> Iterator[None]:
    """`host` is an aioresponses."""
    before, host.passthrough_unmatched = host.passthrough_unmatched, True
    try:
        yield
    finally:
        host.passthrough_unmatched = before
