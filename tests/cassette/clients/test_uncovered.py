"""What asks the guard by itself; the clients proper are in check_uncovered.py, which test_clients.py runs."""

from __future__ import annotations

import asyncio
import smtplib
import socket

import pytest
from contract import Driver, Plan, calls, deck_open
from server import Server
from test_client_contract import DRIVERS

from respool.cassette import guard
from respool.cassette.model import Mode
from respool.errors import NetworkBlocked


def test_the_task_that_connects_is_blocked_not_the_thread_that_looks_up() -> None:
    """Only the task's call stack knows the client."""


    namespace = {"__name__": "asyncpg", "asyncio": asyncio}
    exec("async def connect():\n await asyncio.open_connection('db.example.com', 5432)", namespace)
    with guard.blocking(), pytest.raises(NetworkBlocked, match="asyncpg tried to connect"):
        asyncio.run(namespace["connect"]())  # type: ignore[operator]


def test_a_blocking_client_is_named_too() -> None:
    with guard.blocking(), pytest.raises(NetworkBlocked, match="smtplib tried to connect"):
        smtplib.SMTP("mail.example.com", 25)


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_what_an_adapter_sends_is_counted_once(driver: Driver, plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the guard too, which sees it connect; it sees the others'."""
    monkeypatch.setattr(guard, "LOOPBACK", ())
    monkeypatch.setattr("ipaddress.IPv4Address.is_loopback", False)
    guard.watch()
    with deck_open(mode=Mode.FILL) as deck:
        driver.run(plain.url, Plan(calls("/hello")))
        assert deck.live == 1
        socket.create_connection(("127.0.0.1", int(plain.url.rpartition(":")[2]))).close()
        assert deck.live == 2


def test_a_request_counts_on_this_machine_too_and_a_connection_does_not(plain: Server) -> None:
    """A connection may be the test's own database; who says that it is a request of HTTP is counted."""
    guard.watch()
    with deck_open(mode=Mode.FILL) as deck:
        socket.create_connection(("127.0.0.1", int(plain.url.rpartition(":")[2]))).close()
        assert deck.live == 0
        guard.requesting("127.0.0.1", "pycurl")
        assert deck.live == 1
