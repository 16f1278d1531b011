"""What the tests of clients share: the clients hooked, the servers running."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from server import Server, running

from respool.cassette import clients


@pytest.fixture(autouse=True, scope="module")
def _hooked() -> Iterator[None]:
    """The clients of this process are hooked while a file's tests run, and as they were afterwards."""
    clients.install()
    yield
    clients.uninstall()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA bundle with which the TLS server's certificate is good."""
    made = trustme.CA()
    folder = tmp_path_factory.mktemp("authority")
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "ca.pem"


@pytest.fixture(scope="session")
def plain() -> Iterator[Server]:
    """A server, and a proxy as well."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def tls(authority: Path) -> Iterator[Server]:
    """A server behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.with_name("server.pem"))
    with running(context) as server:
        yield server
