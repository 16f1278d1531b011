"""Providers that hold answers back until their gate is opened, as it is when their test is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar


class Gated(Protocol):
    """A server of the standard library whose answers may wait for `gate`."""

    gate: threading.Event

    def serve_forever(self) -> None: ...
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...


Given, Made = TypeVar("Given"), TypeVar("Made", bound=Gated)


def starting(make: Callable[[Given], Made]) -> Iterator[Callable[[Given], Made]]:
    """What a fixture yields from: a function that makes such a server and starts it; all of them end with the fixture."""
    started: list[Made] = []

    def start(given: Given) -> Made:
        started.append(make(given))
        threading.Thread(target=started[-1].serve_forever, daemon=True).start()
        return started[-1]

    yield start
    for server in started:
        server.gate.set()
        server.shutdown()
        server.server_close()
