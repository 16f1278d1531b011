"""How long a store is waited for, and what is left of what could not be written. The real thing: cli/test_full_disk.py
and cli/test_locked.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from respool.batch.model import Attempt, Done, Failed, Interrupted, Kind
from respool.batch.patience import Patience, leave_receipts, unrecorded
from respool.batch.places import Places
from respool.batch.workers.receipt import read_receipt
from respool.clock import FakeClock
from respool.errors import SpoolUnwritable

FULL = SpoolUnwritable("the spool cannot be written: full", why="the disk is full", command="make room")


def test_it_lasts_from_the_first_failure_on_and_success_restores_it() -> None:
    clock = FakeClock()
    patience = Patience(60, clock)
    for _ in range(3):
        patience.lost(FULL)
        clock.advance(59)
        patience.lost(FULL)
        assert patience.trouble is not None
        assert "waiting for up to 60 s" in patience.trouble
        assert "full (the disk is full)" in patience.trouble
        patience.restored()
        assert patience.trouble is None
    patience.lost(FULL)
    clock.advance(60)
    with pytest.raises(SpoolUnwritable) as caught:
        patience.lost(FULL)
    assert caught.value is FULL


@pytest.mark.parametrize("ended", [True, False])
def test_without_patience_the_first_failure_is_the_last(ended: bool) -> None:
    patience = Patience(60 if ended else 0, FakeClock())
    if ended:
        patience.end()
    with pytest.raises(SpoolUnwritable):
        patience.lost(FULL)


def test_a_write_is_tried_again_while_the_loop_goes_on() -> None:
    tries, turns = [], []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise FULL
        return "written"

    async def look(patience: Patience) -> None:
        while True:
            turns.append(patience.trouble)
            await asyncio.sleep(0.01)

    async def run() -> None:
        patience = Patience(60, FakeClock())
        other = asyncio.create_task(look(patience))
        assert await patience.write(act) == "written"
        assert patience.trouble is None
        other.cancel()

    asyncio.run(run())
    assert len(tries) == 3
    assert any(turns)


def test_what_cannot_be_written_is_left_as_receipts(tmp_path: Path) -> None:
    places = Places.at(tmp_path / "spool.db")
    good, bad, unheard = (Attempt(n, 1, 1, f"k{n}", "{}", f"f{n}", "nonce") for n in (1, 2, 3))
    places.attempts.mkdir(parents=True)
    places.attempt(2, 1).parent.mkdir()
    places.attempt(2, 1).write_text("a file in the way")
    outcomes = [(good, Done('"x"')), (bad, Failed(Kind.RAISED, "boom")), (unheard, Interrupted("closed"))]
    assert leave_receipts(places, "spool", outcomes) == (1, 1)
    assert read_receipt(places.attempt(1, 1), "spool", good) == Done('"x"')
    assert read_receipt(places.attempt(3, 1), "spool", unheard) is None


def test_the_error_says_what_becomes_of_them() -> None:
    assert unrecorded(FULL, 0, 0) is FULL
    said = unrecorded(FULL, 1, 2)
    assert said.what == f"{FULL.what}; 3 items ended meanwhile: 1 is taken over by the next run, 2 run again"
    assert (said.why, said.command) == (FULL.why, FULL.command)
