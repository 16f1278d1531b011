"""Re-recording as a job of the spool: its task, its items, and whether it goes on or begins anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from respool.batch.declaration import Batch, Command, Mode, Task
from respool.batch.model import Item, Job
from respool.batch.policy import Breaker, Retry
from respool.batch.sources import Source, from_values
from respool.cassette.library import Library
from respool.files import FileLock, remove_tree
from respool.rerecord.history import OPEN, TASK
from respool.rerecord.plan import Plan
from respool.rerecord.settings import Settings
from respool.rerecord.units import STAGING


def task(settings: Settings, *, run: str, timeout: float, batch: Batch) -> Task:
    """The task of every unit. `run` names this run of the job: what a killed unit had accepted is worth nothing in another.

    A failure is not tried again by itself: it would cost the same calls once more. `respool rerecord --failures` does that.
    """
    argv = (
        _plain(sys.executable), "-m", "respool.rerecord.unit", "--root", _plain(settings.root), "--run", run,
        "--timeout", f"{timeout:g}",
    )  # fmt: skip
    return Task(
        TASK, Mode.COMMAND, retry=Retry(attempts=1), breaker=Breaker(unauthorised=3, quota=3, unavailable=5),
        max_pause=settings.max_pause, cache=False, batch=batch, command=Command(argv, cwd=_plain(settings.root)),
    )  # fmt: skip


def source(plan: Plan, prints: Mapping[str, str]) -> Source:
    """The items of the plan, in its order; `prints` are the fingerprints of the keys, kept with the job."""
    found = from_values({each.unit.key: each.unit.payload for each in plan.units}, name="test files")
    found.about["keys"] = dict(prints)
    return found


def goes_on(job: Job | None, items: Iterable[Item], plan: Plan) -> bool:
    """Whether an earlier run of this job stopped before its end, so that this one goes on with it."""
    wanted = {each.unit.key for each in plan.units}
    return job is not None and any(item.state in OPEN and item.key in wanted for item in items)


def run_of(job: Job) -> str | None:
    """The name of the run that the job was submitted for."""
    return _told(job, "--run")


def root_of(job: Job) -> Path | None:
    """The project that the job records."""
    told = _told(job, "--root")
    return None if told is None else Path(told.replace("{{", "{").replace("}}", "}"))


def _told(job: Job, option: str) -> str | None:
    argv: Sequence[str] = job.settings.get("command", {}).get("argv", [])
    return argv[argv.index(option) + 1] if option in argv else None


def clear_staging(library: Library) -> None:
    """Remove what units left in staging; not what another process is recording."""
    for lock in library.staging(f"{STAGING}-none").folder.parent.glob(f"{STAGING}-*.lock"):
        own = FileLock(lock)
        if own.acquire():
            remove_tree(lock.with_suffix(""))
            lock.unlink(missing_ok=True)
            own.release()


def _plain(path: object) -> str:
    """A path as a template without placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")
