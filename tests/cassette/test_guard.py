"""The network guard, with real sockets: what it stops, what it leaves alone, and that it goes away."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from respool.cassette import clients, guard
from respool.errors import NetworkBlocked

UNROUTED = "192.0.2.1"  # RFC 5737: for documentation, never answers


@pytest.fixture
def server() -> Iterator[int]:
    """A listening port on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_connection_is_refused_before_a_packet_leaves(server: int) -> None:
    with guard.blocking(test="tests/test_x.py::test_y"), pytest.raises(NetworkBlocked) as refused:
        socket.create_connection(("127.0.0.1", server))
    assert "127.0.0.1" in str(refused.value)
    assert "tests/test_x.py::test_y" in str(refused.value)
    with socket.create_connection(("127.0.0.1", server)) as connected:
        assert connected.getpeername()[1] == server


def test_the_error_is_a_runtime_error_as_pytest_recording_raises() -> None:
    with guard.blocking(), pytest.raises(RuntimeError, match=r"^Network is disabled for host '192\.0\.2\.1'"):
        socket.create_connection((UNROUTED, 80))


def test_a_name_is_not_even_looked_up() -> None:
    with guard.blocking():
        for look_up in (socket.gethostbyname, socket.gethostbyname_ex):
            with pytest.raises(NetworkBlocked, match=r"api\.example\.com"):
                look_up("api.example.com")
        with pytest.raises(NetworkBlocked, match=r"api\.example\.com"):
            socket.getaddrinfo(b"api.example.com", 443)


def test_an_allowed_name_may_be_connected_to_at_its_address(server: int) -> None:
    with guard.blocking(["localhost"]), socket.create_connection(("localhost", server)) as connected:
        assert connected.getpeername()[1] == server


def test_loopback_can_be_left_open(server: int) -> None:
    with guard.blocking(loopback=True):
        socket.create_connection(("127.0.0.1", server)).close()
        with pytest.raises(NetworkBlocked):
            socket.create_connection((UNROUTED, 80))


def test_a_host_must_be_allowed_by_every_block(server: int) -> None:
    with guard.blocking(["127"]), guard.blocking(["10\\."]), pytest.raises(NetworkBlocked):
        socket.create_connection(("127.0.0.1", server))
    with guard.blocking(["127"]), guard.blocking(["127"]):
        socket.create_connection(("127.0.0.1", server)).close()


def test_udp_and_unix_sockets_are_connections_too(tmp_path: object) -> None:
    with guard.blocking():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(NetworkBlocked):
            udp.sendto(b"x", (UNROUTED, 53))
        with socket.socket(socket.AF_UNIX) as local, pytest.raises(NetworkBlocked, match="docker"):
            local.connect("/run/docker.sock")


def test_an_event_loop_lives_under_a_block_and_its_connections_do_not(server: int) -> None:
    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", server)

    with guard.blocking(), pytest.raises(NetworkBlocked):
        asyncio.run(connect())


def test_threads_are_blocked_too(server: int) -> None:
    seen: list[BaseException] = []

    def connect() -> None:
        try:
            socket.create_connection(("127.0.0.1", server)).close()
        except NetworkBlocked as error:
            seen.append(error)

    with guard.blocking():
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
    assert len(seen) == 1


def everything() -> tuple[object, ...]:
    methods = (socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.socket.sendmsg)
    return (*methods, socket.getaddrinfo, socket.gethostbyname, socket.gethostbyaddr, socket.socketpair)


def test_everything_can_be_put_back() -> None:
    clients.uninstall()
    before = everything()
    with guard.blocking(), guard.blocking():
        assert socket.getaddrinfo is not before[4]
    clients.uninstall()
    assert everything() == before


def test_the_error_names_the_client() -> None:
    import http.client

    with guard.blocking(), pytest.raises(NetworkBlocked, match="http tried to connect"):
        http.client.HTTPConnection(UNROUTED, 80).request("GET", "/")
