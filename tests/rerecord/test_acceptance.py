"""Why a recording is refused: every reason, from what the run of its tests told."""

from __future__ import annotations

from typing import Any

import pytest

from respool.batch.model import Kind
from respool.rerecord.acceptance import Refusal, of_recording, of_replay


def facts(*failures: tuple[str, str, str], unexpected: Any = (), stop: Any = None, **counts: int) -> dict[str, Any]:
    told = [{"test": test, "when": "call", "cause": cause, "message": message} for test, cause, message in failures]
    counted = {"passed": 1, "failed": len(told), "skipped": 0, **counts}
    return {**counted, "failures": told, "unexpected": list(unexpected), "stop": stop}


def test_what_passed_and_recorded_and_leaks_nothing_is_accepted() -> None:
    assert of_recording(0, facts(), 3) is None
    refused = [["t", "GET", "http://a/", 0]]
    assert of_recording(0, facts(unexpected=refused), 1) is None, "a test may expect a refused connection"
    assert of_replay(0, facts()) is None


def test_tests_that_fail_are_told_with_the_first_of_them() -> None:
    refusal = of_recording(1, facts(("t::a", "AssertionError", "assert 1 == 2"), ("t::b", "", "x")), 3)
    assert refusal == Refusal(Kind.TESTS_FAILED, "2 of 3 tests failed: t::a: assert 1 == 2")
    told = {**facts(("t::a", "", "x")), "uses": {"b.json": ["t::b"], "a.json": ["t::b", "t::a"]}}
    assert (of_recording(1, told, 3) or refusal).cassette == "a.json"


@pytest.mark.parametrize(("status", "kind"), [
    (401, Kind.UNAUTHORISED), (403, Kind.UNAUTHORISED), (404, Kind.BAD_STATUS), (500, Kind.BAD_STATUS),
])  # fmt: skip
def test_an_error_of_the_service_is_told_as_such(status: int, kind: Kind) -> None:
    answers = [["t::other", "GET", "http://a/x", 418], ["t::a", "GET", "http://a/y", 0]]
    answers.append(["t::a", "POST", "http://a/z", status])
    refusal = of_recording(1, facts(("t::a", "HTTPError", "no"), unexpected=answers), 3)
    assert refusal == Refusal(kind, f"POST http://a/z was answered with {status} in t::a", status)


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    refusal = of_recording(1, facts(("t::a", "ConnectError", "no"), unexpected=[["t::a", "GET", "http://a/", 0]]), 0)
    assert refusal == Refusal(Kind.UNAVAILABLE, "GET http://a/: nothing came back in t::a")


def test_a_refused_recording_names_the_status_whichever_test_it_came_in() -> None:
    """A cassette of a class or module is refused at its end, in another test."""
    answers = [["t::first", "GET", "http://a/", 404]]
    refusal = of_recording(1, facts(("t::last", "CassetteRefused", "x"), unexpected=answers), 3)
    assert refusal is not None
    assert (refusal.kind, refusal.status) == (Kind.BAD_STATUS, 404)


def test_a_secret_weighs_more_than_a_status() -> None:
    told = facts(("t::a", "SecretFound", "1 secret(s) would be written"), unexpected=[["t::a", "GET", "http://a/", 404]])
    refusal = of_recording(1, told, 3)
    assert refusal == Refusal(Kind.LEAK, "t::a: 1 secret(s) would be written")


def test_what_stopped_the_recording_counts_even_if_the_tests_passed() -> None:
    stop = ["rate_limited", "a asked to be left alone for 7200 s", 7200.0]
    refusal = of_recording(0, facts(stop=stop), 3)
    assert refusal == Refusal(Kind.RATE_LIMITED, stop[1], 429, retry_after=7200.0)
    refusal = of_recording(1, facts(stop=["unauthorised", "no", None], unexpected=[["t", "GET", "http://a/", 401]]), 3)
    assert refusal == Refusal(Kind.UNAUTHORISED, "no", 401)


def test_nothing_recorded_a_leak_on_the_tape_and_no_facts() -> None:
    refusal = of_recording(0, facts(skipped=2, passed=0), 0)
    assert refusal == Refusal(Kind.NOTHING_RECORDED, "no request was recorded (0 tests passed, 2 skipped)")
    assert (of_recording(5, facts(passed=0), 0) or Refusal(Kind.RAISED, "")).kind is Kind.NOTHING_RECORDED
    refusal = of_recording(0, facts(), 2, [("tests/cassettes/a.json", "interaction 1, response body: ...")])
    assert refusal is not None
    assert (refusal.kind, refusal.cassette) == (Kind.LEAK, "tests/cassettes/a.json")
    refusal = of_recording(0, facts(), 2, errors=[("a.yaml", 404, "GET http://a/x")])
    assert refusal == Refusal(Kind.BAD_STATUS, "GET http://a/x was answered with 404 in a.yaml", 404, "a.yaml")
    refusal = of_recording(4, None, 0)
    assert refusal is not None
    assert (refusal.kind, "exit code 4" in refusal.message) == (Kind.TESTS_FAILED, True)
    refusal = of_recording(1, facts(), 1)
    assert refusal == Refusal(Kind.TESTS_FAILED, "pytest ended with exit code 1; see the output")


def test_a_pytest_that_was_killed_is_tried_again() -> None:
    for refusal in (of_recording(-9, None, 0), of_recording(-11, facts(), 3), of_replay(-9, None)):
        assert refusal is not None
        assert (refusal.kind, refusal.final) == (Kind.CRASHED, False)
    assert Refusal(Kind.LEAK, "x").final
    assert not Refusal(Kind.RATE_LIMITED, "x", retry_after=1.0).final


def test_what_cannot_be_played_again() -> None:
    refusal = of_replay(1, facts(("t::a", "RequestNotRecorded", "GET http://a/ is not on it")))
    assert refusal == Refusal(Kind.NOT_REPLAYABLE, "played back, 1 of 2 tests failed: t::a: GET http://a/ is not on it")
    for told in (None, facts()):
        refusal = of_replay(2, told)
        assert refusal is not None
        assert (refusal.kind, "exit code 2" in refusal.message) == (Kind.NOT_REPLAYABLE, True)


def test_a_pytest_that_could_not_begin_is_told_with_what_it_complained_of() -> None:
    refusal = of_recording(4, None, 0, complaint="NameError: name 'x' is not defined")
    told = "pytest ended with exit code 4 before it had begun: NameError: name 'x' is not defined"
    assert refusal == Refusal(Kind.TESTS_FAILED, told)
    replayed = of_replay(3, None, "INTERNALERROR")
    assert replayed == Refusal(Kind.NOT_REPLAYABLE, "played back, pytest ended with exit code 3: INTERNALERROR")
