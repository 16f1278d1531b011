"""Whatever is asked of a spool, in whatever order, and whenever its runner dies: the books are right after every step.

Everything is real: the façade, the engine, SQLite. Tasks do what a script says. A runner's death is what a kill leaves
on the disk: the committed state at that instant, put back in the place of the spool. Triggers of our own in the database
note every move of an item as it happens, so that no illegal one can hide inside a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from respool import Breaker, GiveUp, Retry, RetryLater, SkipItem, Spool, doctor, task
from respool.batch import runner as engine
from respool.batch.model import LEGAL_MOVES, ItemState
from respool.batch.store.intake import Wishes
from respool.batch.store.pruning import prune_spool
from respool.batch.upkeep import STALE
from respool.batch.upkeep import diagnose as diagnose_rows
from respool.clock import SYSTEM
from respool.errors import UsageError

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "40"))
STEPS = 10
PHASES = [Phase.generate, Phase.shrink]
ATTEMPTS, CRASHES = 2, 2

JOBS = ("one", "two")
keys = st.sampled_from(["a", "b", "c", "d"])
works = st.integers(0, 2)
inputs = st.lists(st.tuples(keys, works), min_size=1, max_size=4, unique_by=lambda pair: pair[0])
names = st.sampled_from(JOBS)
wishes = st.sampled_from([
    Wishes(), Wishes(), Wishes(), Wishes(retry_failed=True), Wishes(fresh=True), Wishes(no_cache=True), Wishes(force=True),
    Wishes(force=("a", "b")), Wishes(rerun_changed=True),
])  # fmt: skip
calmly = [
    "done", "none", "large", "raise", "crash", "401", "402", "503", "422", "429", "wait", "later", "never", "skip", "give_up",
]  # fmt: skip
while_it_runs = ["die", "cancel", "retry", "submit"]
scripts = st.lists(
    st.tuples(st.sampled_from(calmly), st.sampled_from([None, None, None, *while_it_runs]), st.integers(0, 3)),
    min_size=2, max_size=8,
)  # fmt: skip

Act = tuple[str, str | None, int]
"""What a try comes to, what happens meanwhile, and how often it yields to the others before."""

# What the tasks of the machine that is running now shall do; the engine calls them in this very thread.
MACHINE: list[Machine] = []


class Answered(Exception):
    def __init__(self, status: int, wait: str | None = None) -> None:
        super().__init__(f"answered {status}")
        self.status_code = status
        self.headers = {"Retry-After": wait} if wait else {}


@task(
    retry=Retry(attempts=ATTEMPTS, crashes=CRASHES, base=0, jitter=0, waiting=1.0), breaker=Breaker(3, 3, 3), version="1"
)
async def work(payload: dict[str, Any]) -> Any:
    """Does what the script says next, which may be asking something of its own runner's spool."""
    machine = MACHINE[-1]
    outcome, meanwhile, pause = machine.script.pop() if machine.script else ("done", None, 0)
    if meanwhile is not None:
        await machine.do_meanwhile(meanwhile)
    for _ in range(pause):
        await asyncio.sleep(0)
    match outcome:
        case "none":
            return None
        case "large":
            return {"work": payload["work"], "filler": "x" * 70_000}
        case "raise":
            raise ValueError("as the script says")
        case "crash":
            raise MemoryError
        case "later":
            raise RetryLater(0.001)
        case "never":
            raise RetryLater(1e12)
        case "skip":
            raise SkipItem("as the script says")
        case "give_up":
            raise GiveUp("as the script says")
        case "wait":
            raise Answered(429, "0.001")
        case "401" | "402" | "503" | "422" | "429":
            raise Answered(int(outcome))
    return {"work": payload["work"]}


@task
async def after(payload: dict[str, Any]) -> None: ...


TRIGGERS = """
CREATE TABLE moves (item INTEGER, before TEXT, after TEXT);
CREATE TABLE faults (what TEXT);
CREATE TRIGGER note_moves AFTER UPDATE OF state ON items WHEN OLD.state <> NEW.state BEGIN
  INSERT INTO moves VALUES (NEW.id, OLD.state, NEW.state);
END;
CREATE TRIGGER note_leaders AFTER UPDATE OF state ON items WHEN NEW.state = 'running' AND OLD.state <> 'running'
  AND EXISTS (SELECT 1 FROM items o WHERE o.fingerprint = NEW.fingerprint AND o.state = 'running' AND o.id <> NEW.id)
BEGIN INSERT INTO faults VALUES ('two leaders for one fingerprint: item ' || NEW.id); END;
CREATE TRIGGER note_rewritten AFTER UPDATE ON attempts WHEN OLD.ended_at IS NOT NULL
BEGIN INSERT INTO faults VALUES ('an ended attempt was written again: ' || OLD.item_id || '.' || OLD.number); END;
CREATE TRIGGER note_renamed AFTER UPDATE OF item_id, number, started_at ON attempts
BEGIN INSERT INTO faults VALUES ('an attempt was renamed: ' || OLD.item_id || '.' || OLD.number); END;
CREATE TRIGGER note_removed AFTER DELETE ON attempts WHEN EXISTS (SELECT 1 FROM items WHERE id = OLD.item_id)
BEGIN INSERT INTO faults VALUES ('an attempt was deleted: ' || OLD.item_id || '.' || OLD.number); END;
"""


class Machine(RuleBasedStateMachine):
    """A spool and its users."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="respool-machine-"))
        self.places_path = self.folder / "spool.db"
        self.spool = Spool(self.places_path)
        self.script: list[Act] = []
        self.inputs: dict[str, list[tuple[str, int]]] = {}  # as last submitted
        self.image: Path | None = None
        self.inputs_of_image: dict[str, list[tuple[str, int]]] = {}
        self.dead = False  # rows may say running, and nobody runs
        self.closed: set[tuple[int, int]] = set()
        self.pruned = False
        self.last_seq = 0
        MACHINE.append(self)

    def teardown(self) -> None:
        try:
            self.spool.close()
            MACHINE.remove(self)
            shutil.rmtree(self.folder)
        finally:
            super().teardown()

    @initialize()
    def a_new_spool(self) -> None:
        self.spool.database()
        with contextlib.closing(sqlite3.connect(self.places_path)) as connection:
            connection.executescript(TRIGGERS)
        self.spool.close()

    # ── what users do ────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(name=names, items=inputs, wish=wishes, then=st.sampled_from([(), (), ((after, "success"),), ((after, "finish"),)]))
    def submit(self, name: str, items: list[tuple[str, int]], wish: Wishes, then: Any) -> None:
        self._submit(self.spool, name, items, wishes=wish, then=then)
        self.inputs[name] = items

    @rule(script=scripts, workers=st.integers(1, 4), whole=st.booleans())
    def run(self, script: list[Act], workers: int, whole: bool) -> None:
        self._run(script, workers=workers, whole=whole)

    @rule(name=names, items=inputs, script=scripts, workers=st.integers(1, 4))
    def submit_and_run(self, name: str, items: list[tuple[str, int]], script: list[Act], workers: int) -> None:
        self.submit(name, items, Wishes(), ())
        self._run(script, workers=workers, whole=True)

    @rule(what=st.sampled_from([
        "retry", "retry", "cancel", "then", "prune", "reopen", "doctor", "killed submission", "key twice", "few",
    ]), name=names, items=inputs, script=scripts)  # fmt: skip
    def something_else(self, what: str, name: str, items: list[tuple[str, int]], script: list[Act]) -> None:
        if what in ("retry", "cancel", "then") and not self._known(name):
            return
        match what:
            case "retry":
                assert self.spool.job(name).retry() is not None
            case "cancel":
                assert self.spool.job(name).cancel() is not None
            case "then":
                self.spool.job(name).then(after, on=("success", "finish")[len(items) % 2])
            case "prune":
                self._prune()
            case "reopen":
                self.spool.close()
            case "doctor":
                self.spool.close()
                report = doctor.fix(self.spool.places)
                assert report.healthy, report.findings
                self.dead = False
            case "killed submission":
                self._be_killed_before_the_seal(name, items)
            case "key twice":
                with pytest.raises(UsageError, match="there twice"):
                    self._submit(self.spool, name, [*items, (items[0][0], 7)])
            case "few":
                self._run(script, workers=2, whole=True, at_most=len(items))

    def _submit(self, spool: Spool, name: str, items: list[tuple[str, int]], **options: Any) -> None:
        spool.submit(work, [(key, {"work": value}) for key, value in items], name=name, folder=self.folder, **options)

    def _be_killed_before_the_seal(self, name: str, items: list[tuple[str, int]]) -> None:
        def killed(_: int, __: int) -> None:
            raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            self._submit(self.spool, name, items, progress=killed)
            self.inputs[name] = items  # it is unchanged: there was no block to be killed after
        self.spool.close()

    def _prune(self) -> None:
        self.pruned = True
        gone = prune_spool(self.spool.database(), SYSTEM.now() + 1)
        assert {number for number, _, _ in gone.jobs}.isdisjoint(job.id for job in self.spool.jobs())
        with self._books() as books:
            books.execute("DELETE FROM faults WHERE what LIKE 'an attempt was deleted%'")
            left = {row[0] for row in books.execute("SELECT id FROM items")}
        self.closed = {one for one in self.closed if one[0] in left}

    def _run(self, script: list[Act], *, workers: int, whole: bool, at_most: int | None = None) -> None:
        named = [name for name in JOBS if self._known(name)]
        if not named:
            return
        self.script, self.image = script[::-1], None
        report = self.spool.run(None if whole else named[:1], workers=workers, at_most=at_most)
        self.script.clear()
        self.dead = self.image is not None
        if self.image is not None:
            self._put_back(self.image)
            return
        if not report.paused and at_most is None:
            for job in (self.spool.job(one.id).read() for one in report.jobs):
                stays = {str(state) for state in job.counts} & {"pending", "running"}
                assert not stays or job.sealed_at is None, f"the run is over, and job {job.id} has {stays}"

    @invariant()
    def a_job_is_its_input(self) -> None:
        """What was submitted last is what the job holds, in that order, with those payloads; all else is withdrawn."""
        for job in self.spool.jobs():
            if job.name in JOBS and job.sealed_at is not None and not self._open_requests():
                held = [(item.key, item.payload["work"]) for item in self.spool.job(job.id).items()
                        if not (item.state is ItemState.CANCELLED and item.reason == "withdrawn")
                        and not (item.state is ItemState.RUNNING and item.reason == "withdrawn")]  # fmt: skip
                assert held == self.inputs[job.name], job.name

    # ── while a run is under way ─────────────────────────────────────────────────────────────────────────────────────

    async def do_meanwhile(self, what: str) -> None:
        """As another process would, which finds the spool held."""
        name = next(iter(self.inputs))
        if what == "die":
            if self.image is None:
                self.image, self.inputs_of_image = self.folder / "image.db", dict(self.inputs)
                self.image.unlink(missing_ok=True)
                with self._books() as books, contextlib.closing(sqlite3.connect(self.image)) as copy:
                    books.backup(copy)
            return
        with Spool(self.places_path) as other:
            before = self._open_requests()
            if what == "submit":
                items = [(key, (value + 1) % 3) for key, value in self.inputs[name][1:]]
                self._submit(other, name, items)
                self.inputs[name] = items
            else:
                getattr(other.job(name), what)()
        for _ in range(200):
            if self._open_requests() <= before:
                return
            await asyncio.sleep(0.001)

    def _open_requests(self) -> int:
        with self._books() as books:
            return int(books.execute("SELECT count(*) FROM requests WHERE done_at IS NULL").fetchone()[0])

    def _put_back(self, image: Path) -> None:
        self.spool.close()
        for path in self.folder.glob("spool.db-*"):
            path.unlink()
        image.replace(self.places_path)
        self.inputs = self.inputs_of_image
        self.last_seq = 0

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self, name: str) -> bool:
        return name in [job.name for job in self.spool.jobs()]

    @contextlib.contextmanager
    def _books(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.places_path, isolation_level=None)) as connection:
            yield connection

    @invariant()
    def the_books_are_right(self) -> None:
        with self._books() as books:
            assert books.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert books.execute("PRAGMA foreign_key_check").fetchall() == []
            if not books.execute("SELECT 1 FROM sqlite_master WHERE name = 'moves'").fetchall():
                return
            self._moves(books)
            self._attempts(books)
            self._items(books)
            self._events(books)

    def _moves(self, books: sqlite3.Connection) -> None:
        assert books.execute("SELECT what FROM faults").fetchall() == []
        for item, before, now in books.execute("SELECT item, before, after FROM moves"):
            assert ItemState(now) in LEGAL_MOVES[ItemState(before)], f"item {item}: {before} → {now}"
        books.execute("DELETE FROM moves")

    def _attempts(self, books: sqlite3.Connection) -> None:
        tried = books.execute("SELECT item_id, count(*), max(number) FROM attempts GROUP BY item_id").fetchall()
        assert self.pruned or all(count == last for _, count, last in tried), "attempts are numbered without a gap"
        counters = dict(books.execute("SELECT id, attempts FROM items"))
        assert {item: last for item, _, last in tried} == {item: count for item, count in counters.items() if count}
        open_ones = books.execute("SELECT item_id, number FROM attempts WHERE outcome = 'running'").fetchall()
        running = books.execute("SELECT id, attempts FROM items WHERE state = 'running'").fetchall()
        assert sorted(open_ones) == sorted(running)
        if not self.dead:
            assert running == [], "rows that run without an owner"

    def _items(self, books: sqlite3.Connection) -> None:
        for item, failures, crashes, waited in books.execute("SELECT id, failures, crashes, waited FROM items"):
            assert (failures <= ATTEMPTS, crashes <= CRASHES, waited >= 0) == (True, True, True), f"budgets of item {item}"
        rows = books.execute("""
            SELECT i.id, i.state, i.result_item, i.result_attempt, a.outcome, p.payload, r.result, r.file, j.task,
              (SELECT count(*) FROM results r WHERE r.item_id = i.result_item AND r.number = i.result_attempt)
            FROM items i JOIN jobs j ON j.id = i.job_id JOIN payloads p ON p.item_id = i.id
            LEFT JOIN attempts a ON a.item_id = i.result_item AND a.number = i.result_attempt
            LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
            WHERE i.state IN ('done', 'cached')""").fetchall()
        for item, state, owner, _, outcome, payload, result, file, name, results in rows:
            assert outcome == "done", f"item {item} is {state} by an attempt that is {outcome}"
            assert results <= 1
            assert state != "done" or owner == item
            if name.endswith(":work"):
                text = result if file is None else self.spool.places.result(file).read_text()
                found = json.loads(text) if text is not None else None
                assert found is None or found["work"] == json.loads(payload)["work"], f"item {item} has another's result"
        counted = Counter({(job, state): n for job, state, n in books.execute(
            "SELECT job_id, state, count(*) FROM items GROUP BY 1, 2")})  # fmt: skip
        roots = [job for job in self.spool.jobs() if job.name in JOBS]
        told = Counter({(job.id, str(state)): n for job in roots for state, n in job.counts.items()})
        counted = Counter({one: n for one, n in counted.items() if one[0] in [job.id for job in roots]})
        assert told == counted

    def _events(self, books: sqlite3.Connection) -> None:
        latest = books.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        assert latest >= self.last_seq, "the number of an event can come again"
        self.last_seq = latest
        closed = set(books.execute("SELECT item_id, number FROM attempts WHERE outcome <> 'running'"))
        told = Counter(
            (item, number) for item, number in books.execute("SELECT item_id, attempt FROM events WHERE attempt IS NOT NULL")
        )
        assert all(count == 1 for count in told.values()), "more than one event for one attempt"
        assert {one for one in closed - self.closed if told[one] != 1} == set(), "an attempt ended without its event"
        self.closed |= closed

    @invariant()
    def the_doctor_has_nothing_to_say(self) -> None:
        findings = diagnose_rows(self.spool.database(), alive=False, now=SYSTEM.now())
        warnings = [one for one in findings if str(one.severity) != "info" and not (self.dead and one.code == STALE)]
        assert warnings == []

    @invariant()
    def what_follows_is_made_from_what_it_follows(self) -> None:
        """A child that was brought up to date, and has ended, has an item for each result of its parent, with it."""
        with self._books() as books:
            delivered = books.execute("""
                SELECT r.job_id, r.child_id FROM rules r JOIN jobs p ON p.id = r.job_id JOIN jobs c ON c.id = r.child_id
                WHERE r.revision = p.revision AND p.ended_at IS NOT NULL AND c.ended_at IS NOT NULL
                  AND c.skipped_reason IS NULL AND c.cancelled_at IS NULL""").fetchall()
            states = dict(books.execute("SELECT job_id, state FROM items WHERE key = '@items'"))
        for parent, child in delivered:
            if states.get(child) == "done":
                made = {item.key: item.payload["result"] for item in self.spool.job(child).items()
                        if item.key != "@items" and item.state is not ItemState.CANCELLED}  # fmt: skip
                assert made == self.spool.job(parent).results()


@pytest.fixture
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of others are seen at once, so that they concern what runs."""
    monkeypatch.setattr(engine, "POLL", 0.001)


@pytest.mark.usefixtures("_quick_polls")
@pytest.mark.timeout(3600)
def test_the_books_are_right_after_every_step() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False, phases=PHASES,
        ),
    )  # fmt: skip
