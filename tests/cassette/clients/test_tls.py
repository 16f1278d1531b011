"""A client's TLS context reads its CA bundle when it is needed, and is the client's own in every other respect."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import certifi
import httpx
import httpx2
import pytest
from server import Server

from respool.cassette import clients
from respool.cassette.clients.tls import UnreadContext

EACH = pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda module: module.__name__)
SETTINGS = ("verify_mode", "check_hostname", "options", "minimum_version", "maximum_version", "verify_flags", "protocol")


def context_of(client: Any) -> ssl.SSLContext:
    context: ssl.SSLContext = client._transport._pool._ssl_context
    return context


@pytest.fixture(autouse=True)
def _seen_before(_hooked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundles of the defaults have been read once in this process."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for module in (httpx, httpx2):
        module.Client().close()


@EACH
def test_nothing_is_read_before_it_is_needed(module: ModuleType) -> None:
    with module.Client() as client:
        assert type(context_of(client)) is UnreadContext
    clients.uninstall()
    try:
        with module.Client() as plain:
            context = context_of(plain)
            assert type(context) is ssl.SSLContext
    finally:
        clients.install()
    with module.Client() as client:
        ours = context_of(client)
        assert [getattr(ours, name) for name in SETTINGS] == [getattr(context, name) for name in SETTINGS]
        assert type(ours) is UnreadContext
        assert sorted(ours.get_ca_certs(binary_form=True)) == sorted(context.get_ca_certs(binary_form=True))
        assert ours.cert_store_stats() == context.cert_store_stats()
        assert type(ours) is ssl.SSLContext


@EACH
def test_the_first_look_may_be_at_the_figures(module: ModuleType) -> None:
    with module.Client() as client:
        assert context_of(client).cert_store_stats()["x509_ca"] > 50


@EACH
def test_what_is_put_off_is_verified_with(
    module: ModuleType, tls: Server, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: the first client reads the bundle at once, the second when it connects."""
    authority = Path(shutil.copy(authority, tmp_path))
    for bundle, good in ((authority, True), (Path(certifi.where()), False)):
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        for type_ in (ssl.SSLContext, UnreadContext) if good else (UnreadContext,):
            with module.Client() as client:
                assert type(context_of(client)) is type_
                if good:
                    assert client.get(tls.url + "/hello").text == "hello"
                else:
                    with pytest.raises(module.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                        client.get(tls.url + "/hello")
                assert type(context_of(client)) is ssl.SSLContext


@EACH
def test_an_asynchronous_client(module: ModuleType, tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    async def ask() -> str:
        async with module.AsyncClient() as client:
            return (await client.get(tls.url + "/hello")).text  # type: ignore[no-any-return]

    assert [asyncio.run(ask()) for _ in range(2)] == ["hello", "hello"]


@EACH
def test_the_environment_counts_when_the_client_is_made(
    module: ModuleType, tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    module.Client().close()
    with module.Client() as client, module.Client(trust_env=False) as untrusting:
        monkeypatch.delenv("SSL_CERT_FILE")
        assert client.get(tls.url + "/hello").text == "hello"
        with pytest.raises(module.ConnectError):
            untrusting.get(tls.url + "/hello")


@EACH
def test_certificates_loaded_by_the_user_join_those_put_off(module: ModuleType, tls: Server, authority: Path) -> None:
    with module.Client() as client:
        before = context_of(client)
        before.load_verify_locations(authority)
        assert before.cert_store_stats()["x509_ca"] > 50
        assert client.get(tls.url + "/hello").text == "hello"


@EACH
def test_given_contexts_and_no_verification_are_left_alone(module: ModuleType, tls: Server, authority: Path) -> None:
    own = ssl.create_default_context(cafile=authority)
    with module.Client(verify=own) as client:
        assert context_of(client) is own
        assert client.get(tls.url + "/hello").text == "hello"
    with module.Client(verify=False) as client:
        assert type(context_of(client)) is ssl.SSLContext
        assert client.get(tls.url + "/hello").text == "hello"


@EACH
def test_a_broken_bundle_is_told_at_once(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(Path(certifi.where()).read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for type_ in (ssl.SSLContext, UnreadContext):
        with module.Client() as client:
            assert type(context_of(client)) is type_
    bundle.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        module.Client()
    bundle.unlink()
    with pytest.raises(FileNotFoundError):
        module.Client()


@EACH
def test_first_connections_at_the_same_time(
    module: ModuleType, tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    module.Client().close()
    told: list[str] = []
    with module.Client() as client:
        assert type(context_of(client)) is UnreadContext
        threads = [threading.Thread(target=lambda: told.append(client.get(tls.url + "/hello").text)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert told == ["hello"] * 4


def fetched(connection: http.client.HTTPSConnection) -> bytes:
    connection.request("GET", "/hello")
    body = connection.getresponse().read()
    connection.close()
    return body


def test_http_client_reads_the_default_paths_when_it_connects(
    tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenSSL knows them, or the environment when the connection was made, not when it is opened."""
    where = tls.url.removeprefix("https://")
    untrusting: Any = http.client.HTTPSConnection(where, timeout=10)
    assert type(untrusting._context) is UnreadContext
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for _ in range(2):
        trusting: Any = http.client.HTTPSConnection(where, timeout=10)
        assert type(trusting._context) is UnreadContext
        assert fetched(trusting) == b"hello"
        assert type(trusting._context) is ssl.SSLContext
    trusting = http.client.HTTPSConnection(where, timeout=10)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert fetched(trusting) == b"hello"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with pytest.raises(ssl.SSLCertVerificationError):
        fetched(untrusting)
    untrusting.close()


def test_urllib_reads_them_when_it_connects(tls: Server, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with urllib.request.urlopen(tls.url + "/hello", timeout=10) as answer:
        assert answer.read() == b"hello"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(tls.url, context=ssl.create_default_context(cafile=certifi.where()), timeout=10)


def test_default_paths_hold_what_they_hold_without_us() -> None:
    connection: Any = http.client.HTTPSConnection("a.test")
    plain = ssl.create_default_context()
    assert connection._context.cert_store_stats() == plain.cert_store_stats()


def test_contexts_made_elsewhere_read_at_once(authority: Path) -> None:
    for _ in range(2):
        assert type(ssl.create_default_context(cafile=authority)) is ssl.SSLContext
        assert type(ssl.create_default_context()) is ssl.SSLContext


def test_the_hook_leaves_the_standard_library_as_it_was() -> None:
    clients.uninstall()
    try:
        assert not {"load_verify_locations", "set_default_verify_paths"} & set(vars(ssl.SSLContext))
    finally:
        clients.install()


@EACH
def test_where_a_detector_forbids_blocking_calls_the_bundle_is_read_as_without_us(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocking(*given: Any, **options: Any) -> None:
        raise RuntimeError("a blocking call in an event loop")

    monkeypatch.setattr("respool.cassette.clients.tls.stat", blocking)
    client = module.Client()
    assert type(context_of(client)) is ssl.SSLContext
    assert context_of(client).cert_store_stats()["x509_ca"] > 0
    client.close()
