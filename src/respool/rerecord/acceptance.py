"""Whether a recording may take the place of the old one: pure decisions over what the runs of its tests told.

Accepted only if the tests passed, something was recorded, every error status was declared, nothing leaks, and the same
tests pass again, offline, on what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respool.batch.model import Kind
from respool.phrases import counted

NO_TESTS = 5  # pytest's exit code where nothing was collected, or everything deselected


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the old cassettes stay. `status` is the HTTP status behind it, `retry_after` the seconds that a host asked for."""

    kind: Kind
    message: str
    status: int | None = None
    cassette: str | None = None
    retry_after: float | None = None

    @property
    def final(self) -> bool:
        """Whether a second try by itself is no use: it would cost the same calls, and come to the same."""
        return self.retry_after is None and self.kind is not Kind.CRASHED


def of_recording(
    code: int, facts: Mapping[str, Any] | None, interactions: int, leaks: Sequence[tuple[str, str]] = (),
    errors: Sequence[tuple[str, int, str]] = (), complaint: str = "",
) -> Refusal | None:  # fmt: skip
    """What the recording run, which ended with `code`, has against it; None if nothing.

    `facts` are what the run wrote at its end (pytest_plugin/staged.py), None if it did not come to that; `interactions` how
    many are on its tapes, `leaks` (cassette, what) what the leak check finds there, `errors` (cassette, status, what) the
    answers there that no test declares, `complaint` the line of pytest's stderr that says most.
    """
    if code < 0:
        return _killed(code)
    if facts is None:
        return Refusal(Kind.TESTS_FAILED, _ended(f"{code} before it had begun", complaint))
    if facts["stop"] is not None:
        kind, what, after = facts["stop"]
        status = next((answer[3] for answer in reversed(facts["unexpected"]) if answer[3]), None)
        test = facts["unexpected"][-1][0] if facts["unexpected"] else ""
        told = 429 if kind == Kind.RATE_LIMITED else status
        return Refusal(Kind(kind), what, told, _cassette(facts, test), retry_after=after)
    if code not in (0, NO_TESTS):
        return _failed(code, facts, complaint)
    if not interactions:
        ran = f"{counted(facts['passed'], 'test')} passed, {facts['skipped']} skipped"
        return Refusal(Kind.NOTHING_RECORDED, f"no request was recorded ({ran})")
    if errors:
        cassette, status, what = errors[0]
        return Refusal(Kind.BAD_STATUS, f"{what} was answered with {status} in {cassette}", status, cassette)
    if leaks:
        cassette, what = leaks[0]
        return Refusal(Kind.LEAK, f"{cassette}: {what}", cassette=cassette)
    return None


def of_replay(code: int, facts: Mapping[str, Any] | None, complaint: str = "") -> Refusal | None:
    """What the offline run on the new recording has against it; None if nothing."""
    if code == 0:
        return None
    if code < 0:
        return _killed(code)
    if facts is None or not facts["failures"]:
        return Refusal(Kind.NOT_REPLAYABLE, f"played back, {_ended(str(code), complaint)}")
    cassette = _cassette(facts, facts["failures"][0]["test"])
    return Refusal(Kind.NOT_REPLAYABLE, f"played back, {_told(facts)}", cassette=cassette)


def _failed(code: int, facts: Mapping[str, Any], complaint: str) -> Refusal:
    """Why tests failed: the service said so, the recording was refused, or it is theirs."""
    failures = facts["failures"]
    for failure in failures:
        if failure["cause"] == "SecretFound":
            return Refusal(Kind.LEAK, _one(failure), cassette=_cassette(facts, failure["test"]))
    tests = {failure["test"] for failure in failures}
    refused = any(failure["cause"] == "CassetteRefused" for failure in failures)
    answers = [answer for answer in facts["unexpected"] if refused or answer[0] in tests]
    for test, method, url, status in sorted(answers, key=lambda answer: not answer[3]):
        where = f" in {test}" if test else ""
        cassette = _cassette(facts, test)
        if not status:
            return Refusal(Kind.UNAVAILABLE, f"{method} {url}: nothing came back{where}", cassette=cassette)
        kind = Kind.UNAUTHORISED if status in (401, 403) else Kind.BAD_STATUS
        return Refusal(kind, f"{method} {url} was answered with {status}{where}", status, cassette)
    if not failures:
        return Refusal(Kind.TESTS_FAILED, _ended(str(code), complaint))
    return Refusal(Kind.TESTS_FAILED, _told(facts), cassette=_cassette(facts, failures[0]["test"]))


def _cassette(facts: Mapping[str, Any], test: str) -> str | None:
    """The cassette that the test was recording."""
    return next((name for name, tests in facts.get("uses", {}).items() if test in tests), None)


def _killed(code: int) -> Refusal:
    return Refusal(Kind.CRASHED, f"pytest was ended by signal {-code}")


def _ended(how: str, complaint: str) -> str:
    return f"pytest ended with exit code {how}" + (f": {complaint}" if complaint else "; see the output")


def _told(facts: Mapping[str, Any]) -> str:
    failures = facts["failures"]
    ran = facts["passed"] + facts["failed"]
    return f"{len(failures)} of {counted(ran, 'test')} failed: {_one(failures[0])}"


def _one(failure: Mapping[str, str]) -> str:
    return f"{failure['test']}: {failure['message']}"
