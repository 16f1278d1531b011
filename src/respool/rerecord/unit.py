"""The program that records one unit again: `python -m respool.rerecord.unit --root DIR --run STAMP --timeout SECONDS`.

It runs as an item of a job (RESPOOL_PAYLOAD, RESPOOL_VERDICT). The tests record into a staging folder; what is accepted
there (acceptance.py) is swapped in; everything else leaves the cassettes as they are, and says why. Killed at any moment,
it can simply run again: what was accepted in the same run of the job is swapped in without a second recording.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respool.batch.model import Kind
from respool.canonical import digest
from respool.cassette.library import Library
from respool.cassette.model import Cassette, Failure
from respool.cassette.staging import PACE_VARIABLE, VARIABLE, Orders
from respool.errors import RespoolError
from respool.files import FileLock, private_folder, remove_tree, write_atomic
from respool.rerecord import acceptance, programs
from respool.rerecord.acceptance import Refusal
from respool.rerecord.settings import Settings, load_settings
from respool.rerecord.starts import turn
from respool.rerecord.units import FACTS, STAGING

ACCEPTED = "accepted.json"
RECORD, REPLAY = "record", "replay"
SOON = 2.0  # seconds; a recording that takes longer waits for its service
BUSY = 5.0  # seconds after which a unit is tried again that another process is recording


class TooLong(Exception):
    """The unit's time is used up."""


@dataclass(slots=True)
class Unit:
    """One try of a unit. `run` names the run of the job, `attempt` is the attempt's folder."""

    settings: Settings
    files: tuple[str, ...]
    run: str
    timeout: float
    attempt: Path
    commands: list[str]

    def record(self) -> dict[str, Any]:
        """Record, judge, swap; the verdict in the form of batch/workers/verdict.py."""
        library = Library(self.settings.root)
        library.recover()  # before anything in staging is touched: a swap that was begun ends from there
        base = library.staging(f"{STAGING}-{digest(*self.files)[:16]}").folder
        private_folder(base.parent)
        lock = FileLock(base.with_suffix(".lock"))
        if not lock.acquire():
            return {"outcome": "later", "after": BUSY, "reason": "another process records these test files"}
        try:
            told = self._accepted_before(base)
            if told is None:
                found = self._recorded(base)
                if isinstance(found, Refusal):
                    remove_tree(base)
                    return self._refused(found)
                told = self._note(base, found, swapped=False)
            if not told["swapped"]:
                self._swap(library, base, told["found"]["cassettes"])
                self._note(base, told["found"], swapped=True)
            remove_tree(base / "tapes")
            return {"outcome": "done", "result": {**told["found"], "commands": self.commands}}
        except TooLong:
            return self._refused(Refusal(Kind.TIMEOUT, f"still running after {self.timeout:g} s{self._waits(base)}; ended"))
        finally:
            lock.release()

    def _accepted_before(self, base: Path) -> dict[str, Any] | None:
        """What an earlier try of the same run had accepted, but died before it could tell."""
        try:
            told: dict[str, Any] = json.loads((base / ACCEPTED).read_bytes())
        except (OSError, ValueError):
            return None
        return told if (told["run"], tuple(told["files"])) == (self.run, self.files) else None

    def _note(self, base: Path, found: dict[str, Any], *, swapped: bool) -> dict[str, Any]:
        """Write down how far this unit has come, for the try after this one."""
        told = {"run": self.run, "files": self.files, "swapped": swapped, "found": found}
        write_atomic(base / ACCEPTED, json.dumps(told))
        return told

    def _recorded(self, base: Path) -> dict[str, Any] | Refusal:
        """Record and play; what is told of it, or why it is refused. While a recording waits for its service, its replay is
        started, and stands by: a start costs more than all that comes after it."""
        remove_tree(base)
        staged = Library(private_folder(base / "tapes"))
        self._name(base, RECORD)
        with ExitStack() as running:
            recording = running.enter_context(self._start(base, RECORD))
            _ready_to_judge()
            ahead = running.enter_context(self._start(base, REPLAY, ahead=True)) if recording.lasts(SOON) else None
            code, facts, complaint = self._end(base, RECORD, recording)
            found = {name: staged.load(name) for name in staged.list()}
            interactions = sum(len(cassette.interactions) for cassette in found.values())
            keys = [os.environ.get(name, "") for name in self.settings.require_env]
            refusal = acceptance.of_recording(
                code, facts, interactions, _leaks(found, keys), _errors(found, facts), complaint
            )
            if refusal is not None or facts is None:
                return refusal or Refusal(Kind.TESTS_FAILED, "pytest told nothing")
            self._name(base, REPLAY)
            replay = ahead or running.enter_context(self._start(base, REPLAY))
            replay.play()
            refusal = acceptance.of_replay(*self._end(base, REPLAY, replay))
        return refusal or self._told(found, facts)

    def _told(self, found: Mapping[str, Cassette], facts: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """What is told of a recording that can be played; a Refusal if all of its cassettes must stay as they are."""
        from respool.rerecord import changes, claims

        stay = claims.standing(self.settings, self.files, facts, found)
        if len(stay) == len(found):
            name, why = next(iter(stay.items()))
            return Refusal(Kind.NOTHING_RECORDED, f"{name} stays as it was: {why}", cassette=name)
        claims.remember(self.settings, facts["uses"])
        library = Library(self.settings.root)
        return {
            "cassettes": {
                name: changes.change(library, name, tape, self.settings) for name, tape in found.items() if name not in stay
            },
            "kept": stay, "calls": facts["calls"], "waited": facts["waited"],
        }  # fmt: skip

    def _swap(self, library: Library, base: Path, names: Mapping[str, Any]) -> None:
        staged = Library(base / "tapes")
        waiting = [name for name in names if not _same(staged.path(name), library.path(name))]
        if waiting:  # else this was done before this process, and the previous ones must not be overwritten by these
            library.swap(staged, waiting)

    def _name(self, base: Path, word: str) -> None:
        """Say and keep the command that comes next."""
        self.commands.append(f"{VARIABLE}={base / word}.json {shlex.join(self._command(base))}")
        _say(f"$ {self.commands[-1]}")

    def _command(self, base: Path) -> list[str]:
        return programs.pytest_command(self.files, base / "cache")

    def _start(self, base: Path, word: str, *, ahead: bool = False) -> programs.Tests:
        """Start the tests in staging, in turn with all units of the project; back when their start is over."""
        settings, orders = self.settings, base / f"{word}.json"
        pace = os.environ.get(PACE_VARIABLE) or str(settings.root / ".respool" / "pace")
        Orders(
            str(settings.root), str(base / "tapes"), word == RECORD, str(base / f"{word}-facts.json"), str(base / "waited"),
            pace, dict(settings.limits), settings.transient, settings.allow_status, settings.max_pause,
        ).write(orders)  # fmt: skip
        env = programs.environment(**{VARIABLE: str(orders), PACE_VARIABLE: pace})
        with turn(settings.root / ".respool" / "turns", ahead=ahead):
            tests = programs.Tests(self._command(base), env, settings.root, plays=word == REPLAY)
            tests.started()
        return tests

    def _end(self, base: Path, word: str, tests: programs.Tests) -> tuple[int, dict[str, Any] | None, str]:
        """Wait for the tests; their exit code, what they told of themselves, and what pytest complained of."""
        code, errors = tests.ended(lambda: self.timeout + _seconds(base / "waited"))
        if errors:
            _say(errors.rstrip())
        if code is None:
            raise TooLong
        complaint = programs.complaint(errors)
        try:
            return code, json.loads((base / f"{word}-facts.json").read_bytes()), complaint
        except (OSError, ValueError):
            return code, None, complaint

    def _waits(self, base: Path) -> str:
        waited = _seconds(base / "waited")
        return f", not counting {waited:.0f} s of waiting for its hosts" if waited else ""

    def _refused(self, refusal: Refusal) -> dict[str, Any]:
        root = str(self.settings.root) + os.sep
        message = refusal.message.replace(root, "")
        write_atomic(
            private_folder(self.attempt / "files") / FACTS,
            json.dumps({"status": refusal.status, "cassette": refusal.cassette, "commands": self.commands}), durable=False,
        )  # fmt: skip
        return {
            "outcome": "failed", "kind": refusal.kind, "message": message, "retry_after": refusal.retry_after,
            "final": refusal.final, "detail": "\n".join(f"$ {command}" for command in self.commands),
        }  # fmt: skip


def _say(text: str) -> None:
    """To our output, which is kept with the attempt."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _ready_to_judge() -> None:
    """Load what judges a recording while its tests wait for their service, where it costs no time."""
    import respool.cassette.leaks
    import respool.rerecord.changes
    import respool.rerecord.claims  # noqa: F401


def _leaks(found: Mapping[str, Cassette], keys: Sequence[str]) -> list[tuple[str, str]]:
    """What the leak check finds on the new tapes, the project's own `keys` being known: (cassette, what)."""
    from respool.cassette import leaks

    return [(name, str(leak)) for name, cassette in found.items() for leak in leaks.check(cassette, keys)]


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _errors(found: Mapping[str, Cassette], facts: Mapping[str, Any] | None) -> list[tuple[str, int, str]]:
    """The error statuses on tapes whose tests do not declare them: (cassette, status, request)."""
    wanted = {name: facts["declared"].get(name, []) for name in found} if facts is not None else {}
    return [
        (name, each.response.status, f"{each.request.method} {each.request.url.partition('?')[0]}")
        for name, statuses in wanted.items() if statuses is not None
        for each in found[name].interactions
        if not isinstance(each.response, Failure) and each.response.status >= 400 and each.response.status not in statuses
    ]


def _seconds(path: Path) -> float:
    try:
        return float(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0.0


def main(arguments: list[str]) -> int:
    """Run the program; 0 if the cassettes were replaced."""
    parser = argparse.ArgumentParser(prog="respool.rerecord.unit")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--timeout", type=float, required=True)
    given = parser.parse_args(arguments)
    payload = Path(os.environ["RESPOOL_PAYLOAD"])
    files = tuple(json.loads(payload.read_bytes())["files"])
    try:
        unit = Unit(load_settings(given.root), files, given.run, given.timeout, payload.parent, [])
        verdict = unit.record()
    except RespoolError as error:
        verdict = {"outcome": "failed", "kind": Kind.INVALID, "message": error.what, "final": True, "detail": str(error)}
    write_atomic(Path(os.environ["RESPOOL_VERDICT"]), json.dumps(verdict), durable=False)
    _say(f"{verdict['outcome']}: {verdict.get('message') or ', '.join(verdict.get('result', {}).get('cassettes', ()))}")
    return 0 if verdict["outcome"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
