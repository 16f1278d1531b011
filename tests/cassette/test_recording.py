"""The façade: a cassette file in use, in every mode, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from counting_service import Service, running
from respool import Env, Json, Matching, Recording, RequestNotRecorded, use_cassette
from respool.cassette.model import Mode
from respool.cassette.recording import mode_named, redaction_here
from respool.errors import CassetteError, CassetteRefused, SecretFound, UsageError


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running() as server:
        yield server


def number(service: Service, path: str = "/number", **options: object) -> int:
    answer: int = httpx.request(str(options.pop("method", "GET")), service.url + path, **options).json()["number"]  # type: ignore[arg-type]
    return answer


def test_filled_once_and_played_from_then_on(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "cassettes" / "tape.json"
    with use_cassette(path, "fill") as deck:
        first = number(service)
        assert (deck.played, deck.recorded, deck.live) == (0, 1, 1)
    with use_cassette(path) as deck:
        assert number(service) == first
        assert (deck.played, deck.recorded, deck.live, deck.unplayed) == (1, 0, 0, ())


def test_a_rerecording_takes_the_place_of_all(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    with use_cassette(path, "fill"):
        number(service, "/a")
        number(service, "/b")
    with use_cassette(path, "rerecord"):
        again = number(service, "/a")
    with use_cassette(path) as deck:
        assert number(service, "/a") == again
        assert len(deck.cassette.interactions) == 1


def test_bypass_keeps_nothing_and_counts(service: Service, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "tape.json", "bypass") as deck:
        number(service)
        assert (deck.live, deck.recorded) == (1, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_nothing_and_passes_through(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    with use_cassette(path, "fill"):
        first = number(service)
    before = path.read_bytes()

    @use_cassette(path, "fill")
    def fails() -> None:
        number(service, "/other")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_bytes() == before
    with use_cassette(path):
        assert number(service) == first


def test_a_swallowed_miss_is_raised_at_the_end(service: Service, tmp_path: Path) -> None:
    swallowed = []

    @use_cassette(tmp_path / "tape.json")
    def swallows() -> None:
        try:
            number(service)
        except Exception as error:
            swallowed.append(error)

    with pytest.raises(RequestNotRecorded, match=r"GET .*/number"):
        swallows()
    assert isinstance(swallowed[0], RequestNotRecorded)


def test_a_bad_status_refuses_all_unless_it_is_allowed(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    @use_cassette(path, "fill")
    def both() -> None:
        number(service)
        httpx.get(service.url + "/status/503")

    with pytest.raises(CassetteRefused, match=r"/status/503 was answered with 503"):
        both()
    assert not path.exists()
    for allowed in ((503,), None):
        with use_cassette(path, "rerecord", allow_status=allowed):
            httpx.get(service.url + "/status/503")
        assert path.exists()
        path.unlink()


def test_what_was_not_played_fails_on_request(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    with use_cassette(path, "fill"):
        number(service)
    with pytest.raises(CassetteError, match=r"1 recorded interaction.* GET .*/number"), use_cassette(path, unplayed="fail"):
        pass


def test_secrets_are_replaced_before_anything_is_written(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "tape.json"
    monkeypatch.setenv("SERVICE_API_KEY", "9f8e7d6c5b4a39281706")
    secrets = {"access_token": "sesame-sesame-1", "plain": "9f8e7d6c5b4a39281706", "own": "0pen-my-own-field"}
    with use_cassette(path, "fill", redact=[Json("$.own")]) as deck:
        answer = httpx.post(service.url + "/echo", json=secrets, headers={"Authorization": "Bearer b3arer-b3arer"})
        assert answer.json() == secrets  # the application sees what the service said
        assert deck.recorded == 1
    text = path.read_text()
    for secret in (*secrets.values(), "b3arer-b3arer"):
        assert secret not in text
    with use_cassette(path, redact=[Json("$.own")]):
        answer = httpx.post(service.url + "/echo", json=secrets, headers={"Authorization": "Bearer another"})
        assert answer.status_code == 200


def test_a_leak_that_no_rule_knows_refuses_the_recording(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    token = "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    with pytest.raises(SecretFound) as found, use_cassette(path, "fill", without=["value:github"]):
        httpx.post(service.url + "/echo", json={"words": f"take {token} then"})
    assert token not in str(found.value)
    assert not path.exists()


def test_a_placeholder_of_another_library_still_matches(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ctx_api_key", "the-real-key-123")
    path = tmp_path / "tape.yml"
    path.write_text(f"""
http_interactions:
- request: {{method: get, uri: "{service.url}/search?key=<<<API_KEY>>>", body: {{encoding: '', string: ''}}, headers: {{}}}}
  response:
    status: {{status_code: 200, message: OK}}
    headers: {{Content-Type: application/json}}
    body: {{encoding: '', string: '{{"number": 7}}'}}
recorded_at: 2024-01-01 00:00:00
recorded_with: vcr/1.2.0, webmockr/0.9.0
""")
    with use_cassette(path, redact=[Env("ctx_api_key", placeholder="<<<API_KEY>>>")]):
        assert number(service, "/search?key=the-real-key-123") == 7


def test_what_is_ignored_is_no_part_of_a_request(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    for mode, ts in (("fill", 1), ("replay", 2)):
        with use_cassette(path, mode, ignore_query=["ts"], ignore_json=["$.nonce"]):
            answer = httpx.post(service.url + f"/echo?ts={ts}", json={"nonce": ts, "a": 1})
            assert answer.json() == {"nonce": 1, "a": 1}
    with use_cassette(path, match=Matching(parts=("method", "path"))) as deck:
        httpx.post(service.url + "/echo?ts=3", json={"a": 2})
        assert deck.played == 1


def test_further_cassettes_stand_behind_the_first(service: Service, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "shared.json", "fill"):
        shared = number(service, "/shared")
    with use_cassette(tmp_path / "own.json", "fill", also=[tmp_path / "shared.json"]) as deck:
        assert number(service, "/shared") == shared
        number(service, "/own")
        assert (deck.played, deck.recorded) == (1, 1)
    with use_cassette(tmp_path / "own.json") as deck:
        assert len(deck.cassette.interactions) == 1


def test_as_a_decorator_each_call_is_a_use_of_its_own(service: Service, tmp_path: Path) -> None:
    @use_cassette(tmp_path / "plain.json", "fill")
    def plain() -> int:
        return number(service)

    @use_cassette(tmp_path / "coroutine.json", "fill")
    async def coroutine() -> int:
        async with httpx.AsyncClient() as client:
            found: int = (await client.get(service.url + "/number")).json()["number"]
        return found

    @use_cassette(tmp_path / "generator.json", "fill")
    def generator() -> Iterator[int]:
        yield number(service)

    first = (plain(), asyncio.run(coroutine()), list(generator()))
    assert (plain(), asyncio.run(coroutine()), list(generator())) == first


def test_as_an_asynchronous_block(service: Service, tmp_path: Path) -> None:
    async def call(mode: str) -> int:
        async with use_cassette(tmp_path / "tape.json", mode), httpx.AsyncClient() as client:
            found: int = (await client.get(service.url + "/number")).json()["number"]
        return found

    assert asyncio.run(call("fill")) == asyncio.run(call("replay"))


def test_two_processes_fill_one_cassette_and_lose_nothing(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    program = f"""
import sys, httpx
from respool import use_cassette
with use_cassette({str(path)!r}, "fill"):
    for n in range(10):
        httpx.get({service.url!r} + f"/{{sys.argv[1]}}/{{n}}")
"""
    processes = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    urls = [each["request"]["url"].removeprefix(service.url) for each in json.loads(path.read_text())["interactions"]]
    assert sorted(urls) == [f"/{name}/{n}" for name in "ab" for n in range(10)]
    for name in "ab":
        assert [url for url in urls if url.startswith(f"/{name}")] == [f"/{name}/{n}" for n in range(10)]


def test_threads_of_a_block_are_recorded_whole(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    for mode in ("fill", "replay"):
        with use_cassette(path, mode) as deck:
            threads = [threading.Thread(target=number, args=(service, f"/t/{n}")) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert deck.played + deck.recorded == 8


def test_words_of_vcrpy_are_modes_too(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    assert mode_named("once", path) is Mode.FILL
    path.touch()
    assert mode_named("once", path) is Mode.REPLAY
    assert (mode_named("all", path), mode_named("none", path)) == (Mode.RERECORD, Mode.REPLAY)
    with pytest.raises(UsageError, match="'sometimes' is none of replay, fill, rerecord, bypass"):
        mode_named("sometimes", path)


def test_wrong_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ignore_querry"):
        use_cassette(tmp_path / "tape.json", ignore_querry=["ts"])
    with pytest.raises(UsageError, match="match= and ignore_query="):
        use_cassette(tmp_path / "tape.json", match=Matching(), ignore_query=["ts"])
    with pytest.raises(UsageError, match="unplayed='loudly'"):
        use_cassette(tmp_path / "tape.json", unplayed="loudly")
    recording = Recording(tmp_path / "tape.json")
    with pytest.raises(UsageError, match="is not open"):
        recording.close()
    with recording, pytest.raises(UsageError, match="open already"):
        recording.open()


def test_patterns_are_made_anew_for_another_environment_but_not_for_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_a.py::test_one (call)")
    one = redaction_here()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_a.py::test_two (call)")
    assert redaction_here()._plan is one._plan
    monkeypatch.setenv("WEATHER_API_KEY", "fJ2kLq09xZtR7w")
    assert "fJ2kLq09xZtR7w" in redaction_here().secrets
    monkeypatch.delenv("WEATHER_API_KEY")
    assert "fJ2kLq09xZtR7w" not in redaction_here().secrets


FILLING = """
import sys
import httpx
from respool import use_cassette

tape, url, *paths = sys.argv[1:]
with use_cassette(tape, "fill"):
    for path in paths:
        httpx.get(url + path)
    print("recorded", flush=True)
    sys.stdin.readline()
"""


def test_what_two_fills_record_at_once_stands_there_once(service: Service, tmp_path: Path) -> None:
    """As it would if one had run behind the other: an occurrence of a request that only one of them has is kept."""
    tape = tmp_path / "tape.json"
    with use_cassette(tape, "fill"):
        number(service, "/before")
    fills = [
        subprocess.Popen(
            [sys.executable, "-c", FILLING, str(tape), service.url, *paths],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for paths in (("/before", "/a", "/b"), ("/a", "/before", "/a", "/before", "/c"))
    ]  # fmt: skip
    for fill in fills:  # both have loaded the tape, and recorded, before either writes
        assert fill.stdout is not None
        assert fill.stdout.readline() == "recorded\n"
    for fill in fills:
        fill.communicate("\n", timeout=60)
        assert fill.returncode == 0
    with use_cassette(tape) as deck:
        urls = [each.request.url.removeprefix(service.url) for each in deck.cassette.interactions]
        assert urls == ["/before", "/a", "/b", "/a", "/before", "/c"]
        for path in urls:
            number(service, path)
        assert deck.unplayed == ()

