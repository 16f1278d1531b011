"""Limits and cool-downs between real processes, and the files they share."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from respool.clock import MICROSECONDS, SYSTEM, FakeClock
from respool.errors import SpoolUnwritable
from respool.pace import Limit, Pace

API = Limit("api", "3/min")


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A real process that runs `script` and can be killed; its first line of output means that it got there."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def most_arrivals(spans: list[tuple[int, int]], period: int) -> int:
    """The most arrivals that a half-open window [t, t + period) can see if each may come anywhere in its span."""
    return max((sum(s < t + period and e >= t for s, e in spans) for _, t in spans), default=0)


class TestProcesses:
    HAMMER = """
        import random, sys, time
        from pathlib import Path
        from respool.clock import SYSTEM
        from respool.pace import Limit, Pace
        pace, limit = Pace(Path(sys.argv[1]), SYSTEM), Limit("api", "8/0.5s")
        log = open(sys.argv[2], "a", buffering=1)
        print("ready", flush=True)
        end = time.monotonic() + float(sys.argv[3])
        while time.monotonic() < end:
            grant = pace.take([limit], random.randint(1, 3))
            for token in grant.tokens:
                log.write(f"start {token.serial} {SYSTEM.now()}\\n")
            time.sleep(random.random() * 0.03)
            for token in grant.tokens:
                log.write(f"end {token.serial} {SYSTEM.now()}\\n")
            pace.ended(grant.tokens)
            time.sleep(min(grant.wait, 0.02))
    """
    HOLD = """
        import sys, time
        from pathlib import Path
        from respool.clock import FakeClock
        from respool.pace import Limit, Pace
        pace = Pace(Path(sys.argv[1]), FakeClock())
        print(pace.take([Limit("api", "3/min")], 2).count, flush=True)
        time.sleep(600)
    """

    def test_workers_hammering_one_key_one_of_them_killed(self, tmp_path: Path) -> None:
        logs = [tmp_path / f"{n}.log" for n in range(4)]
        workers = [start(self.HAMMER, tmp_path / "pace", log, 2.5) for log in logs]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        SYSTEM.sleep(0.8 + random.random() * 0.2)
        workers[0].kill()
        killed_at = SYSTEM.now()
        workers[0].communicate(timeout=60)
        for worker in workers[1:]:
            finish(worker)
        spans = []
        for log in logs:
            events = [line.split() for line in log.read_text().splitlines()]
            ends = {serial: int(at) for what, serial, at in events if what == "end"}
            spans += [(int(at), ends.get(n, killed_at)) for what, n, at in events if what == "start"]
        assert most_arrivals(spans, MICROSECONDS // 2) <= 8
        assert sum(s > killed_at + MICROSECONDS // 2 for s, _ in spans) >= 8  # the killed one's slots came back

    def test_processes_at_once_share_out_exactly_the_limit(self, tmp_path: Path) -> None:
        script = """
            import sys
            from pathlib import Path
            from respool.clock import FakeClock
            from respool.pace import Limit, Pace
            pace, limit, count = Pace(Path(sys.argv[1]), FakeClock()), Limit("api", "1000/min"), 0
            print("ready", flush=True)
            while not Path(sys.argv[2]).exists():
                pass
            while pace.take([limit], 1).count:
                count += 1
            print(count)
        """
        workers = [start(script, tmp_path / "pace", tmp_path / "go") for _ in range(3)]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        (tmp_path / "go").touch()
        assert sum(int(finish(worker)) for worker in workers) == 1000

    def test_slots_of_a_killed_process_come_back_one_period_later(self, tmp_path: Path) -> None:
        holder = start(self.HOLD, tmp_path)
        assert holder.stdout
        assert holder.stdout.readline() == "2\n"
        clock = FakeClock()
        with Pace(tmp_path, clock) as pace:
            clock.advance(3600)  # age alone frees nothing
            grant = pace.take([API], 3)
            assert grant.count == 1
            assert grant.wait <= 60
            pace.unused(grant.tokens)
            holder.kill()
            holder.communicate(timeout=60)
            grant = pace.take([API], 3)
            assert grant.count == 1
            pace.unused(grant.tokens)
            assert len(list((tmp_path / "owners").glob("*.lock"))) == 1
            clock.advance(59.9)
            assert pace.take([API], 3).count == 1
            clock.advance(0.1)
            assert pace.take([API], 3).count == 2

    def test_a_cool_down_holds_in_other_processes_and_after_a_restart(self, tmp_path: Path) -> None:
        script = """
            import sys
            from pathlib import Path
            from respool.clock import FakeClock
            from respool.pace import Pace
            Pace(Path(sys.argv[1]), FakeClock()).close_key("api", 90, "429 Too Many Requests")
        """
        finish(start(script, tmp_path))
        clock = FakeClock()
        pace = Pace(tmp_path, clock)
        assert pace.closed("api") == (90.0, "429 Too Many Requests")
        grant = pace.take([Limit("other", "1/s"), API], 1)
        assert (grant.count, grant.wait, grant.closed_key) == (0, 90.0, "api")
        assert pace.take([Limit("other", "1/s")], 1).count == 1  # other keys are not starved
        clock.advance(90)
        assert pace.closed("api") is None
        assert pace.take([API], 1).count == 1

    def test_a_forked_child_does_not_hand_back_its_parents_slots(self, tmp_path: Path) -> None:
        script = """
            import os, sys
            from pathlib import Path
            from respool.clock import FakeClock
            from respool.pace import Limit, Pace
            pace, limit = Pace(Path(sys.argv[1]), FakeClock()), Limit("api", "3/min")
            tokens = pace.take([limit], 2).tokens
            child = os.fork()
            if child == 0:
                pace.unused(tokens)
                pace.close()
                os._exit(pace.take([limit], 3).count)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
            pace.unused(tokens)
            print(pace.take([limit], 3).count)  # the child's one ended with its death
        """
        assert finish(start(script, tmp_path)) == "2\n"


class TestFiles:
    @pytest.mark.parametrize("damage", ["empty", "garbage", "torn", "one bit", "newer", "another key's", "a folder"])
    def test_an_unreadable_file_is_set_aside_and_counts_as_used_up(self, tmp_path: Path, damage: str) -> None:
        clock, both = FakeClock(), [API, Limit("other", "9/s")]
        pace = Pace(tmp_path, clock)
        tokens = pace.take(both, 1).tokens
        file, other = sorted(tmp_path.glob("*.pace"))
        good = file.read_bytes()
        bad = {
            "empty": b"", "garbage": b"\xff\x00{" * 99, "torn": good[:-3], "newer": good.replace(b"pace 1", b"pace 2"),
            "one bit": good[:-1] + bytes([good[-1] ^ 1]), "another key's": other.read_bytes(),
        }  # fmt: skip
        file.unlink()
        if damage == "a folder":
            file.mkdir()
        else:
            file.write_bytes(bad[damage])
        (tmp_path / f"{file.name}.unreadable-1").write_text("from an earlier time")
        grant = pace.take([API], 1)
        assert (grant.count, pace.set_aside) == (0, [tmp_path / f"{file.name}.unreadable-2"])
        assert grant.wait <= 60.0
        clock.advance(40)
        pace.ended(tokens)  # what was in flight is not forgotten with the file
        clock.advance(20)
        assert Pace(tmp_path, clock).take([API], 3).count == 2

    def test_what_ends_after_its_file_was_lost_still_counts(self, tmp_path: Path) -> None:
        clock = FakeClock()
        pace = Pace(tmp_path, clock)
        tokens = pace.take([API], 2).tokens
        next(tmp_path.glob("*.pace")).write_bytes(b"?")
        assert Pace(tmp_path, clock).closed("api") is None
        clock.advance(40)
        pace.ended(tokens[:1])
        clock.advance(20)
        assert pace.take([API], 3).count == 1

    def test_everything_is_private_and_safely_named(self, tmp_path: Path) -> None:
        with Pace(tmp_path / "pace", FakeClock()) as pace:
            for key in ("../../etc/passwd", "a/b", "a_b", ".", "ü" * 200, "a b"):
                assert pace.take([Limit(key, "1/s")], 2).count == 1
            assert len(list((tmp_path / "pace").glob("*.pace"))) == 6
            for path in (tmp_path / "pace").rglob("*"):
                assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
        assert (tmp_path / "pace").stat().st_mode & 0o777 == 0o700
        assert [path.name for path in tmp_path.iterdir()] == ["pace"]

    def test_what_killed_processes_leave_behind_is_swept(self, tmp_path: Path) -> None:
        pace = Pace(tmp_path, FakeClock())
        pace.unused(pace.take([API], 1).tokens)
        file = next(tmp_path.glob("*.pace"))
        (tmp_path / f".{file.name}.0123456789ab.tmp").write_text("half")
        (tmp_path / "owners" / "0123456789abcdef.lock").touch()
        del pace
        with Pace(tmp_path, FakeClock()) as pace:
            pace.take([API], 1)
            assert not list(tmp_path.glob(".*.tmp"))
            assert len(list((tmp_path / "owners").glob("*.lock"))) == 1
        assert not list((tmp_path / "owners").glob("*.lock"))

    def test_a_full_disk_grants_nothing_and_loses_nothing(self, tmp_path: Path) -> None:
        clock, other = FakeClock(), Limit("zzz", "9/s")
        with Pace(tmp_path, clock) as pace:
            tokens = pace.take([API], 1).tokens
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
            try:
                for call in (lambda: pace.take([API, other], 1), lambda: pace.ended(tokens)):
                    with pytest.raises(SpoolUnwritable, match="limits cannot be kept"):
                        call()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert pace.take([API, other], 9).count == 2
            clock.advance(60)
            pace.ended(tokens)  # again, now with room: it ended now, not then
            clock.advance(59)
            assert pace.take([API], 9).count == 0

    def test_a_disk_that_fills_up_between_two_keys_keeps_no_slot(self, tmp_path: Path) -> None:
        clock, other = FakeClock(), Limit("zzz", "99/min")
        with Pace(tmp_path, clock) as pace:
            for _ in range(40):
                pace.ended(pace.take([other], 1).tokens)
                clock.advance(0.1)
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # room for the one file, not for the other
            try:
                with pytest.raises(SpoolUnwritable):
                    pace.take([API, other], 2)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert len(list(tmp_path.glob("*.pace"))) == 2
            assert pace.take([API], 9).count == 3

    def test_a_place_that_cannot_be_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SpoolUnwritable):
            Pace(tmp_path / "file" / "pace", FakeClock()).take([API], 1)
