"""The network guard: while a block is up, a connection to anything but the allowed hosts fails, name look-up included.

It also sees what no adapter does: a connection made while a cassette is open, by a client that we do not cover, is
counted on its deck as live. The functions of `socket` are replaced once per process; sockets themselves stay what they
are: servers, socket pairs and asyncio's own plumbing work as ever. Clients that connect below Python tell `check`
themselves (clients/uncovered.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from respool.cassette.clients.layers import inside
from respool.cassette.clients.patches import Method, is_ours, replace
from respool.cassette.deck import Deck
from respool.cassette.model import Mode
from respool.cassette.open_decks import current, outermost_first
from respool.errors import CassetteError, NetworkBlocked, UsageError

__tracebackhide__ = True  # a block is shown where the application tried to connect

LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")
_CLIENTS = frozenset({
    "aiohttp", "asyncpg", "boto3", "botocore", "curl_cffi", "elasticsearch", "ftplib", "google", "grpc", "http", "httpcore",
    "httplib2", "httpx", "httpx2", "ldap3", "niquests", "paramiko", "psycopg", "pycurl", "pymongo", "pymysql", "redis",
    "requests", "smtplib", "tornado", "treq", "twisted", "urllib", "urllib3", "websocket", "websockets",
})  # fmt: skip
_UNIX = getattr(socket, "AF_UNIX", None)
_MARK_OF_A_BLOCK = "allow the host: @pytest.mark.block_network(allowed_hosts=[...])"


class Block:
    """One block, and the hosts it leaves open: regular expressions from the start of the name, as in pytest-recording.

    It is up from `put_up` to `lift`. Raises UsageError for a host that is no regular expression.
    """

    def __init__(
        self, allowed: Iterable[str] = (), *, test: str = "", loopback: bool = False, command: str = _MARK_OF_A_BLOCK,
    ) -> None:  # fmt: skip
        self._allowed = _expression(tuple(allowed))
        self.test = test
        self.command = command
        self.refused: list[NetworkBlocked] = []
        """What was raised because of this block, in order: also what the code under test swallowed."""
        self._deck: Deck | None = None
        self._loopback = loopback
        self._addresses: set[str] = set()  # what allowed names were resolved to

    def put_up(self, deck: Deck | None = None) -> None:
        """From now on it holds, in every thread of this process, as long as somebody calls `watch`.

        With a `deck` it holds for what a deck in replay would answer: what is recorded inside of it may go out.
        """
        self._deck = deck
        with _changing:
            _blocks.append(self)

    def lift(self) -> None:
        """It no longer holds. A second call does nothing."""
        with _changing:
            if self in _blocks:
                _blocks.remove(self)

    def allows(self, host: str, local: bool) -> bool:
        """Whether a connection to this name, address or path of a socket (`local`: of this machine) may be made."""
        if host in self._addresses or self._allowed.match(host) is not None:
            return True
        if self._loopback and local:
            return True
        return self._deck is not None and (_open_deck() or self._deck).mode is not Mode.REPLAY

    def resolved(self, answers: Iterable[str]) -> None:
        """An allowed name stands for these addresses: a connection names them only."""
        self._addresses.update(answers)


@lru_cache
def _expression(hosts: tuple[str, ...]) -> re.Pattern[str]:
    try:
        return re.compile("|".join([f"(?:{host})" for host in hosts]) or "(?!)")
    except re.error:
        raise _no_expression(hosts) from None


def _no_expression(hosts: Iterable[str]) -> UsageError:
    for host in hosts:
        try:
            re.compile(host)
        except re.error as error:
            return UsageError(f"allowed host {host!r} is no regular expression: {error}")
    return UsageError(f"the allowed hosts {list(hosts)!r} are no regular expressions together")


_blocks: list[Block] = []
_changing = threading.Lock()
_within = threading.local()  # .now: a guarded function is running below another


@contextlib.contextmanager
def blocking(allowed_hosts: Iterable[str] = (), *, test: str = "", loopback: bool = False) -> Iterator[None]:
    """Let nothing of this process, in any thread, connect to a host that matches none of `allowed_hosts`.

    `loopback` leaves this machine's own addresses and sockets open. Blocks nest: a host must be allowed by each. Raises
    NetworkBlocked in whoever tries, a RuntimeError too.

    >>> with blocking():
    ...     try:
    ...         socket.create_connection(("192.0.2.1", 80))
    ...     except RuntimeError as error:
    ...         print(str(error).splitlines()[0])
    Network is disabled for host '192.0.2.1'
    """
    block = Block(allowed_hosts, test=test, loopback=loopback)
    watch()
    block.put_up()
    try:
        yield
    finally:
        block.lift()


def watch() -> None:
    """Let the functions of `socket` come by here, from now on. Called for every block and every cassette: others (a
    plugin that blocks sockets, a test's patch that is undone) put back what they had found.
    """
    for owner, name, make in _GUARDED:
        if getattr(owner, name, None) is not _standing.get(name):
            if not is_ours(owner, name):
                replace(owner, name, make)
            _standing[name] = getattr(owner, name)


def check(host: str, client: str = "", *, local: bool | None = None) -> None:
    """Somebody is about to ask for `host`, a name, an address or the path of a socket: raises NetworkBlocked where a
    block is up that does not allow it. `client` is its name where the call stack does not show it; `local` says that
    it stays on this machine, None: as its name has it.
    """
    for block in tuple(_blocks):
        if not block.allows(host, _is_own(host) if local is None else local):
            client = client or _client()
            error = NetworkBlocked(
                f"Network is disabled for host {host!r}", where=block.test or _current_test() or None,
                why=f"{client} tried to connect while the network was blocked" if client else None,
                command=f"record it in a cassette, or {block.command}",
            )  # fmt: skip
            block.refused.append(error)
            raise error


def connecting(host: str, client: str = "", *, local: bool | None = None) -> None:
    """As `check`; what is allowed is counted as live if a deck is open here, unless an adapter sent it, or it stays on
    this machine: that is a database, a server of the test's own, a debugger.
    """
    local = _is_own(host) if local is None else local
    check(host, client, local=local)
    if not local:
        _count(host, client)


def requesting(host: str, client: str) -> None:
    """As `connecting`, for whoever knows that it is a request of HTTP: that counts wherever it goes."""
    check(host, client)
    _count(host, client)


def _count(host: str, client: str) -> None:
    if not inside.get() and (deck := _open_deck()) is not None:
        deck.went_live(f"{client or _client() or 'a socket'} → {host}")


def _is_own(host: str) -> bool:
    if host in LOOPBACK or host.endswith(".localhost"):
        return True
    import ipaddress  # a replay that connects to nothing never pays for it

    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == socket.gethostname()


def _connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    sends_message = original.__name__ == "sendmsg"

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if getattr(_within, "now", False):
            return original(self, *arguments)
        # sendmsg(buffers[, ancillary data[, flags[, address]]]): the others have the address last
        address = (arguments[3] if len(arguments) > 3 else None) if sends_message else arguments[-1] if arguments else None
        if address is not None:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                connecting(str(address[0]))
            elif self.family == _UNIX:
                connecting(os.fsdecode(address), local=True)
        return _alone(original, self, *arguments)

    return guarded


def _looking_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        if not host or getattr(_within, "now", False):
            return original(host, *arguments, **options)
        check(host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host)
        found = _alone(original, host, *arguments, **options)
        if _blocks:
            addresses = _addresses(found)
            for block in tuple(_blocks):
                block.resolved(addresses)
        return found

    return guarded


def _pairing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Windows makes a socket pair of a loopback connection, and asyncio makes its self-pipe of a socket pair."""

    def paired(*arguments: Any, **options: Any) -> Any:
        return _alone(original, *arguments, **options)

    return paired


def _alone(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Where another's patch stands between two of ours, the outer one has looked already."""
    before, _within.now = getattr(_within, "now", False), True
    try:
        return original(*arguments, **options)
    finally:
        _within.now = before


def _addresses(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, tuple):  # gethostbyname_ex, gethostbyaddr
        return list(found[2])
    return [str(each[4][0]) for each in found]


_GUARDED: tuple[tuple[type | ModuleType, str, Callable[[Method], Method]], ...] = (
    *((socket.socket, name, _connecting) for name in ("connect", "connect_ex", "sendto", "sendmsg")),
    *((socket, name, _looking_up) for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")),
    (socket, "socketpair", _pairing),
)
_standing: dict[str, object] = {}  # what `watch` has left at each of these names


def _open_deck() -> Deck | None:
    try:
        deck = current()
    except CassetteError:  # several stand side by side: it happened under one of them
        deck = outermost_first()[-1]
    return None if deck is None or deck.closed else deck


def _current_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def _client() -> str:
    """The library that is connecting: the outermost known one, since layered clients stand on each other."""
    found, frame = "", sys._getframe(2)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in _CLIENTS:
            found = package
        frame = frame.f_back  # type: ignore[assignment]
    return found
