"""Scripts and what their answers come to. What all workers promise is tested in workers/test_contract.py."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from respool.batch.declaration import Command, Mode, Task
from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind, Outcome
from respool.batch.places import Places
from respool.batch.policy import FINAL_KINDS, Retry
from respool.batch.rehearsal import MARKER, Answer, RehearsalWorkers, Script, load_script, mock_agent
from respool.batch.spool import Spool
from respool.batch.tasks import task
from respool.batch.workers.pool import Instead
from respool.errors import UsageError

TASK = Task("tests:paid", Mode.ASYNC)
COMMAND = Task("command:agent", Mode.COMMAND, command=Command(("agent", "{}"), marker="ALL DONE"))


def attempt_of(key: str, number: int = 1, item: int = 1) -> Attempt:
    return Attempt(item, number, 1, key, '{"n":1}', "f", "nonce")


def answered(
    script: Script, attempts: list[Attempt], task: Task = TASK, folder: Path = Path("/nowhere"), size: int = 3
) -> dict[Attempt, Outcome]:
    """What becomes of these attempts."""
    outcomes: dict[Attempt, Outcome] = {}

    async def play() -> None:
        done = asyncio.Event()

        def report(attempt: Attempt, outcome: Outcome) -> None:
            assert attempt not in outcomes
            outcomes[attempt] = outcome
            if len(outcomes) == len(attempts):
                done.set()

        workers = RehearsalWorkers(
            size, report, lambda attempt, text: None, spool_id="s", places=Places.at(folder / "spool.db"), script=script
        )
        for attempt in attempts:
            workers.put(attempt, task)
        async with asyncio.timeout(60):
            await done.wait()
        await workers.close()

    asyncio.run(play())
    return outcomes


def script_of(folder: Path, text: str) -> Script:
    (folder / "script.toml").write_text(text)
    return load_script(folder / "script.toml")


def outcome(script: Script, key: str, number: int = 1) -> Any:
    return answered(script, [attempt_of(key, number)])[attempt_of(key, number)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", Kind.RATE_LIMITED), ("unauthorised", Kind.UNAUTHORISED), ("unavailable", Kind.UNAVAILABLE),
        ("timeout", Kind.TIMEOUT), ("torn", Kind.TRUNCATED), ("crash", Kind.CRASHED), ("raise", Kind.RAISED),
    ],
)  # fmt: skip
def test_faults_are_what_the_real_thing_comes_to(tmp_path: Path, fault: str, kind: Kind) -> None:
    script = script_of(tmp_path, f'[[answer]]\nfault = "{fault}"\nretry_after = 1.5\n')
    found = outcome(script, "a")
    assert isinstance(found, Failed)
    assert found.kind is kind
    assert "rehearsed" in found.message
    assert found.retry_after == (1.5 if fault in ("429", "unauthorised", "unavailable") else None)
    assert (kind in FINAL_KINDS) == (fault == "torn")


def test_the_first_answer_that_fits_is_given(tmp_path: Path) -> None:
    script = script_of(
        tmp_path,
        """
[[answer]]
key = "gene-*"
attempt = [1, 2]
fault = "429"

[[answer]]
key = "gene-7"
attempt = 3
fault = "crash"

[[answer]]
key = "gene-*"
result = { b = [1.5, true], a = "x" }
""",
    )
    assert [outcome(script, "gene-7", number).kind for number in (1, 2, 3)] == [
        Kind.RATE_LIMITED, Kind.RATE_LIMITED, Kind.CRASHED,
    ]  # fmt: skip
    assert outcome(script, "gene-7", 4) == Done('{"a":"x","b":[1.5,true]}')
    assert outcome(script, "gene-8", 3) == Done('{"a":"x","b":[1.5,true]}')
    assert outcome(script, "Gene-8", 1) == Done(), "what no table fits is answered by the mock agent"


def test_a_delay_beyond_the_timeout_is_a_timeout() -> None:
    slow = Task("tests:slow", Mode.ASYNC, timeout=0.01)
    found = answered(Script([Answer(delay=60)]), [attempt_of("a")], slow)[attempt_of("a")]
    assert isinstance(found, Failed)
    assert found.kind is Kind.TIMEOUT
    assert "0.01 s" in found.message


def test_a_command_leaves_its_lines_and_its_marker(tmp_path: Path) -> None:
    one, two, three = attempt_of("one", item=1), attempt_of("two", item=2), attempt_of("three", item=3)
    script = Script([Answer("two", output=("half",), fault="crash"), Answer("three", output=("own",))])
    outcomes = answered(script, [one, two, three], COMMAND, tmp_path)
    logs = [Places.at(tmp_path / "spool.db").attempt(n, 1) / "output.log" for n in (1, 2, 3)]
    assert [type(found) for found in outcomes.values()] == [Done, Failed, Done]
    assert logs[0].read_text().splitlines()[-2:] == ["mock agent: finished", "ALL DONE"]
    assert logs[1].read_text() == "half\n"
    assert logs[2].read_text() == "own\nALL DONE\n"
    answered(mock_agent(), [one], Task("command:x", Mode.COMMAND, command=Command(("x",))), tmp_path)
    assert logs[0].read_text().splitlines()[-1] == MARKER


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[answer]]\nkey = "a"\n\n[[answer]]\nkey = "b"\nfalt = "429"', 6, "'falt' is not known"),
        ("answers = 3", 1, "'answers' is not known"),
        ('# x\n[answer]\nkey = "a"', 2, "must be a list of tables"),
        ('[[answer]]\n[[answer]]\nfault = "418"', 3, "one of 429, unauthorised"),
        ("[[answer]]\nattempt = 0", 2, "a number from 1"),
        ("[[answer]]\nattempt = []", 2, "a number from 1"),
        ("[[answer]]\ndelay = -1", 2, "0 or more"),
        ("[[answer]]\ndelay = nan", 2, "0 or more"),
        ("[[answer]]\nretry_after = true", 2, "0 or more"),
        ('[[answer]]\noutput = "x"', 2, "a list of lines"),
        ("[[answer]]\nkey = 3", 2, "a glob"),
        ("[[answer]]\nresult = 2026-01-01", 2, "no JSON"),
        ("[[answer]]\nkey = ", None, "no TOML"),
    ],
)
def test_a_script_that_is_wrong_says_where(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        script_of(tmp_path, text)
    assert said in str(caught.value)
    assert line is None or caught.value.where == f"{tmp_path / 'script.toml'}:{line}"


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_script(tmp_path / "none.toml")


@pytest.mark.parametrize("seed", range(3))
def test_exactly_once_when_interrupted_at_random(seed: int) -> None:
    chance = random.Random(seed)
    reported: list[tuple[Attempt, Outcome]] = []

    async def play() -> None:
        script = Script([Answer("slow*", delay=60), Answer("bad*", fault="raise"), Answer(delay=0.001)])
        workers = RehearsalWorkers(
            3, lambda *what: reported.append(what), lambda *what: None, spool_id="s", places=Places.at("x.db"),
            script=script,
        )  # fmt: skip
        put = [attempt_of(f"{chance.choice(['slow', 'bad', 'good'])}{n}", item=n) for n in range(60)]
        for attempt in put:
            workers.put(attempt, TASK)
            if chance.random() < 0.7:
                workers.interrupt(chance.choice(put), "storm")
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
        async with asyncio.timeout(60):
            await workers.close()
        assert sorted(attempt.item for attempt, _ in reported) == list(range(60))
        assert any(isinstance(what, Interrupted) and what.reason == "storm" for _, what in reported)

    asyncio.run(play())


CALLS: list[Any] = []


@task(retry=Retry(attempts=3, base=0.0))
async def paid(payload: Any) -> Any:
    CALLS.append(payload)
    return payload


def test_a_rehearsed_run_completes_and_counts_nowhere_else(tmp_path: Path) -> None:
    CALLS.clear()
    script = Script([Answer("b", frozenset({1}), "raise"), Answer(result=json.dumps("rehearsed"))])
    with Spool(tmp_path / "spool.db", rehearsal=True) as spool:
        handle = spool.submit(paid, {"a": 1, "b": 2})
        handle.run(
            workers=2,
            instead=Instead(
                lambda report, note, _: RehearsalWorkers(
                    2, report, note, spool_id="s", places=spool.places, script=script
                )
            ),
        )
        assert {item.key: (item.state, item.attempts, item.result) for item in handle.items()} == {
            "a": ("done", 1, "rehearsed"), "b": ("done", 2, "rehearsed"),
        }  # fmt: skip
    assert not CALLS
    assert not (tmp_path / "spool.db").exists()
    with Spool(tmp_path / "spool.db") as real:
        handle = real.submit(paid, {"a": 1, "b": 2})
        handle.run()
        assert [(item.state, item.result) for item in handle.items()] == [("done", 1), ("done", 2)]
    assert CALLS == [1, 2]
