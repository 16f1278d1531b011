"""The network while a test's cassette is played: closed by default in replay, and what nobody recorded is counted."""

from __future__ import annotations

import json

import pytest
from test_cassette_marks import run

from counting_service import Service

UNROUTED = "192.0.2.1"  # RFC 5737: for documentation, never answers
CONNECT = f"""
    import contextlib, os, socket, threading
    import httpx, pytest

    def connect():
        with socket.socket() as tried:
            tried.setblocking(False)
            with contextlib.suppress(OSError):
                tried.connect(("{UNROUTED}", 80))
"""


def test_in_replay_no_client_goes_to_the_network(project: pytest.Pytester) -> None:
    """A client that we do not cover is named with its host and its test; asked for by name, by address, in a thread."""
    project.makepyfile(test_it=CONNECT + """
    import smtplib
    from respool.errors import NetworkBlocked

    def test_without_a_cassette():
        connect()

    @pytest.mark.cassette
    def test_named():
        smtplib.SMTP("mail.example.com", 25)

    @pytest.mark.cassette
    def test_swallowed():
        with pytest.raises(NetworkBlocked):
            connect()

    @pytest.mark.cassette(scope="module")
    def test_in_a_thread():
        seen = []
        def work():
            try:
                connect()
            except NetworkBlocked as error:
                seen.append(error.where)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == ["test_it.py::test_in_a_thread"]
    """)
    result = run(project)
    result.assert_outcomes(passed=2, failed=2, errors=1)
    result.stdout.fnmatch_lines([
        "*ERROR at teardown of test_in_a_thread*", "*where: test_it.py::test_in_a_thread*", "*swallowed this error (1 time)*",
        "*NetworkBlocked: Network is disabled for host 'mail.example.com'*", "*where: test_it.py::test_named*",
        "*smtplib tried to connect*", "*@pytest.mark.cassette(allowed_hosts=*",
        "*where: test_it.py::test_swallowed*", "*swallowed this error (1 time)*",
    ])  # fmt: skip


def test_hosts_are_allowed_by_the_mark_and_by_the_project(project: pytest.Pytester) -> None:
    project.makepyprojecttoml('[tool.respool.cassettes]\nallowed_hosts = ["192.0.2.9"]\n')
    project.makepyfile(test_it=CONNECT + f"""
    @pytest.mark.cassette(allowed_hosts="{UNROUTED}")
    def test_by_the_mark():
        connect()

    @pytest.mark.cassette(block_network=False)
    def test_unblocked():
        connect()

    @pytest.mark.cassette
    def test_by_the_project():
        connect()
    """)
    result = run(project)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*2 live*"])
    toml = project.path / "pyproject.toml"
    toml.write_text(toml.read_text().replace("192.0.2.9", UNROUTED))
    run(project).assert_outcomes(passed=3)
    toml.write_text(f'[tool.respool.cassettes]\nblock_network = false\nallowed_hosts = ["{UNROUTED}("]\n')
    result = run(project, "-k", "project")
    result.assert_outcomes(passed=1)
    toml.write_text(f'[tool.respool.cassettes]\nallowed_hosts = ["{UNROUTED}("]\n')
    result = run(project, "-k", "project")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*UsageError: allowed host *is no regular expression*"])


def test_a_bad_option_of_the_mark_ends_the_run(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=CONNECT + "    @pytest.mark.cassette(block_networks=False)\n    def test_one(): pass\n")
    result = run(project)
    result.stderr.fnmatch_lines(["*did you mean block_network?*"])


def test_what_lives_on_this_machine_goes_on(project: pytest.Pytester, service: Service) -> None:
    """Socket pairs, servers of the test's own on TCP and on Unix sockets, other processes, event loops."""
    project.makepyfile(test_it="""
    import asyncio, multiprocessing, socket
    from http.server import BaseHTTPRequestHandler, HTTPServer
    import pytest

    @pytest.mark.cassette
    def test_one(monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)  # the paths of sockets may not be long
        for pair in socket.socketpair():
            pair.close()
        HTTPServer(("", 0), BaseHTTPRequestHandler).server_close()
        with multiprocessing.get_context("spawn").Manager() as manager:
            assert list(manager.list([1])) == [1]
        with socket.create_server(("localhost", 0)) as server:
            socket.create_connection(("localhost", server.getsockname()[1])).close()

        async def main():
            async def answer(reader, writer):
                writer.write(b"hello")
                writer.close()
            path = "own.sock"
            async with await asyncio.start_unix_server(answer, path), await asyncio.start_server(answer, "localhost") as tcp:
                for opened in (
                    asyncio.open_unix_connection(path),
                    asyncio.open_connection("localhost", tcp.sockets[0].getsockname()[1]),
                ):
                    reader, writer = await opened
                    assert await reader.read() == b"hello"
                    writer.close()
                    await writer.wait_closed()

        asyncio.run(main())
    """)
    result = run(project)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("cassettes:*")


@pytest.mark.parametrize("mode", ["fill", "rerecord", "bypass"])
def test_what_no_adapter_sent_is_counted_as_live(project: pytest.Pytester, mode: str) -> None:
    project.makepyfile(test_it=CONNECT + """
    @pytest.mark.cassette
    def test_one():
        httpx.get(os.environ["SERVICE"] + "/number")
        connect()
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()

    def test_two():
        connect()
    """)
    result = run(project, f"--cassettes={mode}", "--cassettes-json=figures.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*3 live*"])
    figures = json.loads((project.path / "figures.json").read_text())
    assert figures["tests"]["test_it.py::test_one"][0]["live"] == 3


def test_a_recording_inside_a_replayed_module_may_go_out(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=CONNECT + """
    from respool.errors import NetworkBlocked

    @pytest.mark.cassette("whole", scope="module")
    def test_one(open_cassette):
        with open_cassette("inner.json", mode="bypass"):
            connect()
        with pytest.raises(NetworkBlocked):
            connect()
    """)
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*NetworkBlocked*", "*swallowed this error (1 time)*"])


def test_under_vcr_marks_it_is_counted_too(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=CONNECT + """
    @pytest.mark.vcr
    def test_one():
        connect()
    """)
    result = run(project)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*1 live*"])
