"""The network guard: while a block is up, a connection to anything but the allowed hosts fails, name look-up included.

`socket.socket.connect`, `connect_ex`, `sendto` and the look-up functions are replaced once, when the first block goes
up, and put back when the last one is down. Sockets themselves stay what they are: servers, socket pairs and asyncio's
own plumbing work as ever.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from respool.errors import NetworkBlocked

LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")
_CLIENTS = frozenset({
    "aiohttp", "asyncpg", "boto3", "botocore", "curl_cffi", "ftplib", "google", "grpc", "http", "httpcore", "httplib2",
    "httpx", "httpx2", "ldap3", "niquests", "paramiko", "psycopg", "pymongo", "pymysql", "redis", "requests", "smtplib",
    "treq", "twisted", "urllib", "urllib3", "websocket", "websockets",
})  # fmt: skip
_LOOK_UPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
_METHODS = ("connect", "connect_ex", "sendto")


class Block:
    """One block, and the hosts it leaves open: regular expressions from the start of the name, as in pytest-recording."""

    def __init__(self, allowed: Iterable[str], test: str, loopback: bool) -> None:
        self._allowed = re.compile("|".join(f"(?:{one})" for one in allowed) or "(?!)")
        self.test = test
        self._loopback = loopback
        self._addresses: set[str] = set()  # what allowed names were resolved to

    def allows(self, host: str) -> bool:
        """Whether a connection to this name or address may be made."""
        if host in self._addresses or self._allowed.match(host) is not None:
            return True
        return self._loopback and (host in LOOPBACK or _is_loopback(host))

    def resolved(self, answers: Iterable[str]) -> None:
        """An allowed name stands for these addresses: a connection names them only."""
        self._addresses.update(answers)


_blocks: list[Block] = []
_changing = threading.Lock()
_originals: dict[str, Callable[..., Any]] = {}
_pairing = threading.local()


@contextlib.contextmanager
def blocking(allowed_hosts: Iterable[str] = (), *, test: str = "", loopback: bool = False) -> Iterator[None]:
    """Let nothing of this process, in any thread, connect to a host that matches none of `allowed_hosts`.

    `loopback` leaves this machine's own addresses open. Blocks nest: a host must be allowed by each. Raises
    NetworkBlocked in whoever tries, a RuntimeError too.

    >>> with blocking():
    ...     socket.create_connection(("192.0.2.1", 80))
    Traceback (most recent call last):
    ...
    respool.errors.NetworkBlocked: Network is disabled for host '192.0.2.1'
    """
    block = Block(allowed_hosts, test, loopback)
    with _changing:
        if not _blocks:
            _put_up()
        _blocks.append(block)
    try:
        yield
    finally:
        with _changing:
            _blocks.remove(block)
            if not _blocks:
                _take_down()


def _put_up() -> None:
    for name in _METHODS:
        if name in vars(socket.socket):
            _originals[name] = getattr(socket.socket, name)
        setattr(socket.socket, name, _guarded_method(getattr(socket.socket, name)))
    for name in _LOOK_UPS:
        original = _originals[name] = getattr(socket, name)
        setattr(socket, name, _guarded_look_up(original))
    _originals["socketpair"] = socket.socketpair
    socket.socketpair = _paired(socket.socketpair)


def _take_down() -> None:
    for name in _METHODS:
        if name in _originals:  # somebody else's patch
            setattr(socket.socket, name, _originals[name])
        else:
            delattr(socket.socket, name)  # what is inherited from the C class is seen again
    for name in (*_LOOK_UPS, "socketpair"):
        setattr(socket, name, _originals[name])
    _originals.clear()


def _guarded_method(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if not getattr(_pairing, "now", False) and arguments:
            _check(_host(self, arguments[-1]))
        return original(self, *arguments)

    return guarded


def _guarded_look_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if name:
            _check(name)
        found = original(host, *arguments, **options)
        if name:
            addresses = _addresses(found)
            for block in tuple(_blocks):
                block.resolved(addresses)
        return found

    return guarded


def _paired(original: Callable[..., Any]) -> Callable[..., Any]:
    """Windows makes a socket pair of a loopback connection, and asyncio makes its self-pipe of a socket pair."""

    def paired(*arguments: Any, **options: Any) -> Any:
        _pairing.now = True
        try:
            return original(*arguments, **options)
        finally:
            _pairing.now = False

    return paired


def _host(sock: socket.socket, address: Any) -> str | None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        return str(address[0])
    if sock.family == getattr(socket, "AF_UNIX", None):
        return address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)
    return None


def _addresses(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, tuple):  # gethostbyname_ex
        return list(found[2])
    return [str(each[4][0]) for each in found]


def _check(host: str | None) -> None:
    if host is None:
        return
    for block in tuple(_blocks):
        if not block.allows(host):
            client = _client()
            raise NetworkBlocked(
                f"Network is disabled for host {host!r}", where=block.test or None,
                why=f"{client} tried to connect while the network was blocked" if client else None,
                command="record it in a cassette, or allow the host: @pytest.mark.block_network(allowed_hosts=[...])",
            )  # fmt: skip


def _client() -> str | None:
    """The library that is connecting: the outermost known one, since layered clients stand on each other."""
    found, frame = None, sys._getframe(2)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in _CLIENTS:
            found = package
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
