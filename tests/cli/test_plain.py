"""Plain lines: few, and at once what is out of the ordinary; a view that fails does not stop the run."""

from __future__ import annotations

import io
import json

import pytest

from respool.batch.model import ItemState
from respool.batch.snapshot import JobView, Snapshot
from respool.cli.plain import Logged, PlainView, Rates
from respool.clock import FakeClock


def snapshot(done: int, *, now: int = 0, waiting: str | None = None, draining: bool = False, run: int = 0) -> Snapshot:
    counts = {ItemState.DONE: done, ItemState.PENDING: 100 - done}
    running: list[tuple[str, int, str | None]] = [(f"k{number}", 0, None) for number in range(run)]
    view = JobView(1, "j", counts, running, [], waiting, 1, done)
    return Snapshot(now, [view], draining, None, "s")


def test_a_line_every_few_seconds_not_for_every_item() -> None:
    clock, lines = FakeClock(now=0), list[str]()
    view = PlainView(every=5, clock=clock, line=lines.append)
    for done in range(100):
        view.show(snapshot(done, now=clock.now()))
        clock.advance(0.1)
    assert len(lines) == 1
    assert lines[0] == "j #1: 51 done, 49 pending · 10.0/s · about 4.9 s left"


def test_what_is_waited_for_is_said_once() -> None:
    lines: list[str] = []
    view = PlainView(clock=FakeClock(), line=lines.append)
    for _ in range(3):
        view.show(snapshot(1, waiting="waiting for openai until 12:00"))
        view.show(snapshot(1, draining=True, run=1))
        view.show(snapshot(1, draining=True))
    assert lines == [
        "j #1: waiting for openai until 12:00", "stopping: running items may finish; Ctrl-C again ends them",
    ]  # fmt: skip


def test_a_rate_needs_time() -> None:
    rates = Rates()
    rates.saw(1, 5, 0)
    assert rates.per_second(1) is None
    rates.saw(1, 5, 2_000_000)
    assert rates.per_second(1) is None


class Broken:
    closed = False

    def show(self, snapshot: Snapshot) -> None:
        raise RuntimeError("no screen")

    def close(self) -> None:
        self.closed = True
        raise OSError("the terminal is gone")


def test_a_view_that_fails_is_replaced_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log, broken = io.StringIO(), Broken()
    shown = Logged(broken, log)
    shown(snapshot(1))
    shown(snapshot(2))
    shown.close()
    first, second = map(json.loads, log.getvalue().splitlines())
    assert (first["failure"], second["failure"]) == ("RuntimeError: no screen", None)
    assert second["view"] == "PlainView"
    assert broken.closed
    assert "going on with plain lines" in capsys.readouterr().err
