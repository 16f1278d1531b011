"""`respool run --dry-run`: the plan with a reason for every item, and how long it will take. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from respool.batch.digests import Digests
from respool.batch.forecast import Action, Forecast, plan
from respool.batch.places import Places
from respool.batch.store.connection import Database
from respool.batch.store.intake import Wishes
from respool.cli.exits import Exit
from respool.cli.talk import columns, put, put_json, say, seconds_text
from respool.cli.wanted import Wanted
from respool.clock import SYSTEM


def dry_run(
    job: Wanted, wishes: Wishes, places: Places, *, only: Sequence[str], workers: int | str, as_json: bool
) -> int:  # fmt: skip
    """Print the plan; the exit code is 0 for every plan that could be made."""
    hands = workers if isinstance(workers, int) else 1
    with ExitStack() as opened:
        source = opened.enter_context(closing(job.open_source()))
        database = None
        if places.database.exists():
            database = opened.enter_context(Database.open(places, read_only=True))
        digests = Digests(database)
        forecast = plan(
            database, job.name, job.task, source, wishes, only=only, workers=hands, now=SYSTEM.now(),
            intact=lambda outputs: all(digests.of(Path(output.path)) == output.digest for output in outputs),
        )  # fmt: skip
    if as_json:
        put_json({
            "job": job.name, "task": job.task.name,
            "totals": {str(each): many for each, many in forecast.totals.items()},
            "seconds": forecast.seconds, "workers": workers, "code_changed": forecast.code_changed,
            "items": [{"key": key, "action": str(action), "reason": reason} for key, action, reason in forecast.items],
        })  # fmt: skip
        return int(Exit.DONE)
    for line in columns([(str(item.action), item.key, item.reason) for item in forecast.items]):
        put(line)
    say(f"{job.name}: {_totals(forecast)}; nothing was written")
    say(_expected(forecast, workers))
    if forecast.code_changed:
        say(f"the code of {job.task.name} changed under the same version; --rerun-changed makes the results again")
    return int(Exit.DONE)


def _totals(forecast: Forecast) -> str:
    words = {
        Action.RUN: "to run", Action.CACHED: "cached", Action.KEEP: "kept", Action.WAIT: "waiting",
        Action.WITHDRAW: "withdrawn",
    }  # fmt: skip
    return ", ".join(f"{many} {words[action]}" for action, many in forecast.totals.items() if many) or "no items"


def _expected(forecast: Forecast, workers: int | str) -> str:
    if forecast.seconds is None:
        return "how long it takes cannot be told: nothing of this task has finished yet"
    if not forecast.totals[Action.RUN]:
        return "nothing to run"
    return f"about {seconds_text(forecast.seconds)} with {workers} at once, judged by earlier attempts"
