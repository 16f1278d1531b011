"""Rehearsals: scripted answers, with injected faults, in place of the real work. Nothing is called and nothing is paid.

A rehearsed run has a spool of its own (`Places.rehearsal`), so its results count nowhere else. A script is TOML; the
first table that fits an attempt answers it, and what no table fits succeeds as the built-in mock agent does:

    [[answer]]
    key = "gene-*"           # a glob over the items' keys; left out: every item
    attempt = [1, 2]         # one number or several; left out: every attempt
    fault = "429"            # or timeout, torn, crash, unauthorised, unavailable, raise; left out: success
    retry_after = 2          # seconds that a 429 or "unavailable" asks for
    delay = 0.1              # seconds that the answer takes
    result = { genes = 3 }   # any JSON
    output = ["reading", "writing"]
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from respool import canonical
from respool.batch.declaration import Mode, Task
from respool.batch.execute import timed_out
from respool.batch.model import Attempt, Done, Failed, Kind, Outcome
from respool.batch.places import OUTPUT, Places
from respool.batch.policy import classify
from respool.batch.workers.contract import Note, Report
from respool.batch.workers.lanes import Lane, Lanes
from respool.clock import SYSTEM
from respool.errors import UsageError
from respool.files import private_folder, write_atomic

STATUS = {"429": 429, "unauthorised": 401, "unavailable": 503}
FAULTS = (*STATUS, "timeout", "torn", "crash", "raise")
MARKER = "TASK COMPLETE"  # what a mock agent says at its end, unless the command declares a marker of its own


class RehearsedFault(Exception):
    """What the client of a service would raise; judged by its status, as every client's errors are."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status} (rehearsed)")
        self.status_code = status
        self.headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens to the attempts that it fits. `result` is canonical JSON text, `delay` and `retry_after` seconds."""

    key: str = "*"
    attempts: frozenset[int] | None = None
    fault: str | None = None
    retry_after: float | None = None
    delay: float = 0.0
    result: str | None = None
    output: tuple[str, ...] = ()

    def fits(self, attempt: Attempt) -> bool:
        """Whether this answer is meant for the attempt."""
        return fnmatchcase(attempt.key, self.key) and (self.attempts is None or attempt.number in self.attempts)

    def outcome(self) -> Outcome:
        """What the real thing would have come to."""
        if self.fault is None:
            return Done(self.result)
        if self.fault in STATUS:
            return classify(RehearsedFault(STATUS[self.fault], self.retry_after), SYSTEM.now())
        if self.fault == "timeout":
            return classify(TimeoutError("no answer came (rehearsed)"), SYSTEM.now())
        if self.fault == "torn":
            return Failed(Kind.TRUNCATED, "the answer was cut off (rehearsed)")
        if self.fault == "crash":
            return Failed(Kind.CRASHED, "the worker died (rehearsed)")
        return classify(RuntimeError("an error of the task's own (rehearsed)"), SYSTEM.now())


MOCK = Answer(output=("mock agent: started", "mock agent: working", "mock agent: finished"))


class Script:
    """Answers in order; the first that fits an attempt is given, the mock agent's if none does."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self.answers = (*answers, MOCK)

    def answer(self, attempt: Attempt, task: Task) -> Answer:
        """The answer to this attempt."""
        return next(answer for answer in self.answers if answer.fits(attempt))


def mock_agent() -> Script:
    """The built-in script: every item says a few lines and its completion marker, and succeeds."""
    return Script()


def load_script(path: Path) -> Script:
    """The script in a TOML file. Raises UsageError, with the line, for what it does not understand."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"the script cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the script is no TOML: {error}", where=str(path)) from None
    tables = data.pop("answer", [])
    if data:
        raise _bad(path, text, None, next(iter(data)), "is not known in a script", "a script has [[answer]] tables")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _bad(path, text, None, "answer", "must be a list of tables", "write [[answer]] above each")
    return Script(_answer(path, text, number, table) for number, table in enumerate(tables))


_FIELDS = ("key", "attempt", "fault", "retry_after", "delay", "result", "output")


def _answer(path: Path, text: str, number: int, table: dict[str, Any]) -> Answer:
    wanted: str | None = None
    for name, value in table.items():
        if name not in _FIELDS:
            raise _bad(path, text, number, name, "is not known in an answer", f"an answer has {', '.join(_FIELDS)}")
        if name == "key":
            wanted = None if isinstance(value, str) else "text, a glob over keys"
        elif name == "fault":
            wanted = None if value in FAULTS else f"one of {', '.join(FAULTS)}"
        elif name == "attempt":
            numbers = value if isinstance(value, list) and value else [value]
            wanted = None if all(type(one) is int and one > 0 for one in numbers) else "a number from 1, or several"
        elif name in ("retry_after", "delay"):
            fine = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
            wanted = None if fine else "seconds, 0 or more"
        elif name == "output":
            fine = isinstance(value, list) and all(isinstance(line, str) for line in value)
            wanted = None if fine else "a list of lines"
        if wanted is not None:
            raise _bad(path, text, number, name, f"must be {wanted}, not {value!r}")
    attempts = table.get("attempt")
    if isinstance(attempts, int):
        attempts = [attempts]
    try:
        result = canonical.encode(table["result"]) if "result" in table else None
    except canonical.NotCanonical as error:
        raise _bad(path, text, number, "result", f"is no JSON: {error}") from None
    return Answer(
        key=table.get("key", "*"), attempts=None if attempts is None else frozenset(attempts),
        fault=table.get("fault"), retry_after=table.get("retry_after"), delay=float(table.get("delay", 0.0)),
        result=result, output=tuple(table.get("output", ())),
    )  # fmt: skip


def _bad(path: Path, text: str, table: int | None, name: str, problem: str, why: str | None = None) -> UsageError:
    """The complaint about a field, with the line that it stands on (in the table of that number)."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*answer\s*\]\]", line)]
    first = starts[table] if table is not None and table < len(starts) else 0
    field = re.compile(rf"\s*(\[+\s*)?[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
    line = next((number for number in range(first, len(lines)) if field.match(lines[number])), first)
    return UsageError(f"{name!r} {problem}", where=f"{path}:{line + 1}", why=why, command="mend that line")


class _Lane(Lane):
    """With the way to cut its delay short."""

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        super().__init__()
        self.stopped = asyncio.Event()


class RehearsalWorkers(Lanes[_Lane]):
    """Answers at most `size` attempts at once from a script. See contract.Workers.

    The output of a command is written where a real one's would be, in `output.log` of the attempt's folder.
    """

    def __init__(
        self, size: int, report: Report, note: Note, *, spool_id: str, places: Places, script: Script
    ) -> None:  # fmt: skip
        super().__init__(size, report)
        self._note, self._places, self._script = note, places, script

    def new_lane(self) -> _Lane:
        return _Lane()

    async def run(self, lane: _Lane, attempt: Attempt, task: Task) -> Outcome:
        lane.stopped.clear()
        answer = self._script.answer(attempt, task)
        if answer.output:
            self._note(attempt, answer.output[0])
        late = timed_out(task.timeout) if task.timeout is not None and answer.delay > task.timeout else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(answer.delay if late is None else task.timeout):
                await lane.stopped.wait()
        if lane.verdict is not None:
            return lane.verdict
        if task.mode is Mode.COMMAND:
            self._write_output(attempt, task, answer, whole=late is None and answer.fault is None)
        return late or answer.outcome()

    def stop(self, lane: _Lane) -> None:
        lane.stopped.set()

    def _write_output(self, attempt: Attempt, task: Task, answer: Answer, *, whole: bool) -> None:
        """What the command would have said: everything and its marker, or, after a fault, what came before that."""
        lines = list(answer.output)
        if whole:
            lines.append((task.command.marker if task.command is not None else None) or MARKER)
        folder = private_folder(self._places.attempt(attempt.item, attempt.number))
        write_atomic(folder / OUTPUT, "".join(f"{line}\n" for line in lines), durable=False)
