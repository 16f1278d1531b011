"""`respool run` and `next` through the real command line: each flag by its effect, counted in calls made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from program import PROGRAM, Folder, Until

RUN = ("run", "tasks.py:square", "--items", "items.jsonl")


def test_a_batch_runs_once_and_again_there_is_nothing_to_do(folder: Folder) -> None:
    first = folder.run(*RUN, code=0)
    assert "tasks.py:square items.jsonl #1: 3 done in" in first.err
    assert first.out == ""  # talk is on stderr
    assert folder.run(*RUN, code=0).err.count("3 done") == 1
    assert folder.calls == ["a", "b", "c"]


def test_json_is_one_object(folder: Folder) -> None:
    folder.items(a=1, b=-1)
    data = folder.run(*RUN, "--json", code=1).data
    (job,) = data["jobs"]
    assert (data["exit"], job["state"], job["counts"]["done"], job["failed_kinds"]) == (1, "failed", 1, {"raised": 1})
    error = folder.run("run", "nothing.toml", "--json", code=2).data
    assert error["exit"] == 2
    assert "cannot be read" in error["error"]["what"]


def test_failed_items_say_what_to_do_and_stay_failed(folder: Folder) -> None:
    folder.items(a=1, b=-1)
    assert "1 failed: respool jobs items 1 --state failed" in folder.run(*RUN, code=1).err
    folder.run(*RUN, code=1)  # also one that failed before
    assert folder.calls == ["a", "b"]
    folder.write("mended", "")
    folder.run(*RUN, "--retry-failed", code=0)
    assert folder.calls == ["a", "b", "b"]


def test_only_what_changed_runs(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    folder.items(c=3, new=5, a=10)
    folder.run(*RUN, code=0)
    assert sorted(folder.calls[3:]) == ["a", "new"]
    assert folder.states() == {"c": "done", "new": "done", "a": "done", "b": "cancelled"}


def test_no_resume_starts_afresh(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    folder.run(*RUN, "--no-resume", code=0)
    assert folder.calls == ["a", "b", "c"] * 2


def test_force_and_only(folder: Folder) -> None:
    folder.run(*RUN, "--only", "b", code=0)
    assert folder.calls == ["b"]
    folder.run(*RUN, code=0)
    folder.run(*RUN, "--force", "--only", "c", code=0)
    assert folder.calls == ["b", "a", "c", "c"]
    folder.run(*RUN, "--force", code=0)
    assert len(folder.calls) == 7


def test_only_a_key_that_is_not_there(folder: Folder) -> None:
    assert "no item 'nope'" in folder.run(*RUN, "--only", "nope", code=3).err
    assert folder.calls == []


def test_equal_work_of_another_job_is_cached_unless_told_not_to(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    assert "3 cached" in folder.run(*RUN, "--name", "again", code=0).err
    folder.run(*RUN, "--name", "third", "--no-cache", code=0)
    assert len(folder.calls) == 6


def test_another_version_runs_again(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    folder.run(*RUN, "--version", "2", code=0)
    assert len(folder.calls) == 6


def test_code_that_changed_is_said_and_rerun_when_asked(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    source = folder.path / "tasks.py"
    source.write_text(source.read_text().replace("** 2", "** 3"))
    assert "--rerun-changed" in folder.run(*RUN, code=0).err
    assert len(folder.calls) == 3
    folder.run(*RUN, "--rerun-changed", code=0)
    assert len(folder.calls) == 6


def test_the_working_folder_does_not_change_what_is_known(folder: Folder) -> None:
    folder.write("pyproject.toml", "")
    folder.run(*RUN, code=0)
    inner = folder.path / "inner"
    inner.mkdir()
    folder.run("run", "../tasks.py:square", "--items", "../items.jsonl", "--name", "x", cwd=inner, code=0)
    assert len(folder.calls) == 3
    assert not (inner / ".respool").exists()


def test_without_a_job_all_open_jobs_are_run(folder: Folder) -> None:
    folder.run(*RUN, "--only", "a", code=0)
    folder.run(*RUN, "--name", "other", "--only", "b", "--no-cache", code=0)
    data = folder.run("run", "--json", code=0).data
    assert [job["name"] for job in data["jobs"]] == ["tasks.py:square items.jsonl", "other"]
    assert "nothing to do" in folder.run("run", code=0).err


def test_next_runs_one_item(folder: Folder) -> None:
    folder.run("next", *RUN[1:], code=0)
    folder.run("next", code=0)
    assert folder.calls == ["a", "b"]
    folder.run("next", code=0)
    assert "nothing to do" in folder.run("next", code=0).err


def test_items_from_standard_input_and_csv(folder: Folder) -> None:
    folder.run("run", "tasks.py:square", "--items", "-", stdin='{"key": "p", "n": 4}\n', code=0)
    folder.write("rows.csv", "word,n\nx,1\ny,2\n")
    folder.run("run", "--items", "rows.csv", "--key", "word", "--", "sh", "-c", "echo {word} {n} >> rows.out", code=0)
    assert folder.calls == ["p"]
    assert sorted((folder.path / "rows.out").read_text().splitlines()) == ["x 1", "y 2"]


def test_a_command_for_each_file(folder: Folder) -> None:
    for name in "ab":
        folder.write(f"data/{name}.txt", name)
    script = "tr a-z A-Z < {} > {}.up; echo x >> calls"
    each = ("run", "--each", "data/*.txt", "--output", "{}.up", "--", "sh", "-c", script)
    assert "data/*.txt sh -c" in folder.run(*each, code=0).err
    assert (folder.path / "data/a.txt.up").read_text() == "A"
    folder.write("data/a.txt", "changed")
    (folder.path / "data/b.txt.up").unlink()
    folder.run(*each, code=0)
    assert len(folder.calls) == 4  # a file's content counts, and so does what it produced


def test_marker_and_cwd(folder: Folder) -> None:
    folder.write("sub/x.txt", "")
    command = ("run", "--each", "*.txt", "--cwd", "sub", "--retries", "0", "--marker", "finished", "--")
    assert "1 failed" in folder.run(*command, "echo", "started", code=1).err
    folder.run(*command, "sh", "-c", "cat {} && pwd > where && echo finished", code=0)
    assert (folder.path / "sub/where").read_text().strip().endswith("/sub")


def test_retries_and_timeout(folder: Folder) -> None:
    folder.items(a=1)
    folder.write("quick.toml", 'task = "tasks.py:flaky"\n[items]\nfile = "items.jsonl"\n[retry]\nbase = 0.01\n')
    folder.run("run", "quick.toml", "--retries", "1", code=1)
    assert folder.calls == ["a", "a"]
    data = folder.run(
        "run", "tasks.py:slow", "--items", "items.jsonl", "--timeout", "300ms", "--retries", "0", "--json", code=1
    ).data  # fmt: skip
    assert data["jobs"][0]["failed_kinds"] == {"timeout": 1}


def test_job_timeout_pauses(folder: Folder) -> None:
    folder.items(a=1)
    done = folder.run(
        "run", "tasks.py:slow", "--items", "items.jsonl", "--job-timeout", "500ms", "--grace", "100ms", "--json", code=6
    )  # fmt: skip
    assert done.data["jobs"][0]["paused"] is not None or "paused" in done.err


def test_limits_are_those_of_the_command_line(folder: Folder) -> None:
    folder.run(*RUN, "--limit", "provider=1000/s", "--limit", "500/min", code=0)
    assert (folder.path / ".respool" / "pace").is_dir()
    assert "no rate" in folder.run(*RUN, "--limit", "many", code=2).err
    assert "two rates" in folder.run(*RUN, "--limit", "x=1/s", "--limit", "x=2/s", code=2).err


@pytest.mark.parametrize(("on", "code"), [("success", 1), ("finish", 1)])
def test_a_followup_of_the_command_line(folder: Folder, on: str, code: int) -> None:
    folder.items(a=1, b=-1)
    done = folder.run(*RUN, "--then", "tasks.py:publish", "--then-on", on, "--json", code=code)
    assert [job["task"] for job in done.data["jobs"]] == ["tasks.py:square"] + ["tasks.py:publish"] * (on == "finish")
    assert folder.calls.count("published") == (on == "finish")


@pytest.mark.parametrize("value", ["0", "-1", "many", "dask://", "1.5", ""])
@pytest.mark.parametrize("flag", ["--workers", "--parallel"])
def test_workers_must_be_a_number(folder: Folder, flag: str, value: str) -> None:
    done = folder.run(*RUN, f"{flag}={value}", code=2)
    assert "workers" in done.err
    assert not (folder.path / ".respool").exists()


def test_workers_run_at_once(folder: Folder) -> None:
    folder.write("items.jsonl", '{"key": "a", "n": 1, "wait_for": "b.txt"}\n{"key": "b", "n": 2}\n')
    program = folder.start("run", "tasks.py:square", "--items", "items.jsonl", "--parallel", "2")
    folder.write("b.txt", "")
    program.communicate(timeout=60)
    assert program.returncode == 0


def test_dry_run_writes_nothing(folder: Folder) -> None:
    before = sorted(folder.path.iterdir())
    plan = folder.run(*RUN, "--dry-run", code=0)
    assert plan.out.splitlines() == ["run  a  new", "run  b  new", "run  c  new"]
    assert "3 to run; nothing was written" in plan.err
    assert [path for path in sorted(folder.path.iterdir()) if path.name != "__pycache__"] == before
    folder.run(*RUN, code=0)
    folder.items(a=1, b=7)
    data = folder.run(*RUN, "--dry-run", "--json", code=0).data
    assert [(item["key"], item["action"]) for item in data["items"]] == [("a", "keep"), ("b", "run"), ("c", "withdraw")]
    assert data["seconds"] is not None
    assert folder.calls == ["a", "b", "c"]
    assert folder.states() == dict.fromkeys("abc", "done")


def test_plain_lines_and_the_log_of_the_view(folder: Folder) -> None:
    done = folder.run(*RUN, "--no-tui", "--tui-debug", "view.log", code=0)
    assert "\x1b" not in done.err
    assert '"view": "PlainView"' in (folder.path / "view.log").read_text()


def test_the_spool_is_where_it_is_said(folder: Folder) -> None:
    folder.run(*RUN, "--spool", "mine/jobs.db", "--durability", "full", code=0)
    assert (folder.path / "mine/jobs.db").is_file()
    folder.run("jobs", "show", "1", env={"RESPOOL_SPOOL": str(folder.path / "mine/jobs.db")}, code=0)
    assert not (folder.path / ".respool").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_and_the_same_command_goes_on(folder: Folder, until: Until, number: int, code: int) -> None:
    lines = ['{"key": "a", "n": 1}', '{"key": "b", "n": 2, "wait_for": "go"}', '{"key": "c", "n": 3}']
    folder.write("items.jsonl", "\n".join(lines) + "\n")
    program = folder.start(*RUN)
    until(lambda: folder.calls == ["a", "b"])
    program.send_signal(number)
    said = iter(program.stderr or [])
    assert "stopping" in next(said)
    folder.write("go", "")
    _, err = program.communicate(timeout=60)
    assert program.returncode == code, err
    assert "Traceback" not in err
    before = folder.calls
    assert before[:2] == ["a", "b"]
    folder.run(*RUN, code=0)
    assert folder.calls == ["a", "b", "c"]  # nothing is lost, nothing is repeated


@pytest.mark.parametrize("flag", [["--mock-agent"], ["--rehearse", "script.toml"]])
def test_a_rehearsal_calls_nothing_and_counts_nowhere(folder: Folder, flag: list[str]) -> None:
    folder.write("script.toml", '[[answer]]\nkey = "b"\nfault = "raise"\n')
    failed = flag[0] == "--rehearse"
    done = folder.run(*RUN, *flag, "--retries", "0", "--json", code=int(failed))
    assert done.data["rehearsal"] is True
    assert "rehearsal/spool.db" in done.err
    assert folder.run("jobs", "show", "1", "--rehearsal", "--json", code=0).data["counts"]["failed"] == failed
    assert "no spool" in folder.run("jobs", code=2).err
    folder.run(*RUN, code=0)
    assert folder.calls == ["a", "b", "c"]


def test_a_live_runner_takes_what_is_stored(folder: Folder, until: Until) -> None:
    folder.write("first.jsonl", '{"key": "w", "n": 1, "wait_for": "go"}\n')
    runner = folder.start("run", "tasks.py:square", "--items", "first.jsonl")
    until(lambda: folder.calls == ["w"])
    refused = folder.run(*RUN, code=4)
    assert f"pid {runner.pid}" in refused.err
    assert "stored as job 2" in refused.err
    assert "next:  respool jobs watch 2" in refused.err
    watching = folder.start("run", "tasks.py:square", "--items", "first.jsonl", "--name", "x", "--watch", "--json")
    until(lambda: len(folder.run("jobs", "list", "--json").data["jobs"]) == 3)
    folder.write("go", "")
    out, err = watching.communicate(timeout=60)
    runner.communicate(timeout=60)
    assert watching.returncode == 0, out + err
    assert "#3: 1 " in err


def test_whoever_watches_takes_over_when_the_runner_is_killed(folder: Folder, until: Until) -> None:
    folder.write("first.jsonl", '{"key": "w", "n": 1, "wait_for": "go"}\n')
    runner = folder.start("run", "tasks.py:square", "--items", "first.jsonl")
    until(lambda: folder.calls == ["w"])
    watching = folder.start(*RUN, "--watch", "--json")
    until(lambda: len(folder.run("jobs", "list", "--json").data["jobs"]) == 2)
    runner.kill()
    runner.communicate(timeout=60)
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, out + err
    assert "#2: 3 done" in err
    assert folder.states() == {"w": "pending"}  # somebody else's job is left to its next run
    folder.write("go", "")
    folder.run("run", code=0)
    assert folder.calls == ["w", "a", "b", "c", "w"]


def test_a_cluster_does_the_work(folder: Folder, until: Until) -> None:
    pytest.importorskip("distributed")
    log = folder.path / "scheduler.log"
    dask = [sys.executable, "-m", "dask"]
    with log.open("wb") as out:
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"], cwd=folder.path, stdout=out,
            stderr=out,
        )  # fmt: skip
        until(lambda: b"tcp://127.0.0.1:" in log.read_bytes())
        place = log.read_bytes().partition(b"Scheduler at:")[2].split()[0].decode()
        worker = subprocess.Popen(
            [*dask, "worker", place, "--no-nanny", "--nthreads", "2", "--no-dashboard", "--host", "127.0.0.1"],
            cwd=folder.path, stdout=out,
            stderr=out,
        )  # fmt: skip
        try:
            address = "dask://" + place.removeprefix("tcp://")
            data = folder.run(*RUN, "--workers", address, "--json", code=0).data
        finally:
            for process in (worker, scheduler):
                process.terminate()
                process.wait(timeout=30)
    assert data["jobs"][0]["counts"]["done"] == 3
    assert sorted(folder.calls) == ["a", "b", "c"]
    assert "no cluster answers" in folder.run(*RUN, "--force", "--workers", address, code=2).err


def test_options_without_a_job_are_refused(folder: Folder) -> None:
    for flags in (["--retries", "3"], ["--only", "a"], ["--retry-failed"], ["--dry-run"], ["--then", "tasks.py:f"]):
        assert "need" in folder.run("run", *flags, code=2).err


def test_the_reader_may_go_away(folder: Folder) -> None:
    folder.run(*RUN, code=0)
    script = f"{PROGRAM} jobs events --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder.path, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.stdout.strip() in ("0", "141")
    assert done.stderr == ""


BAD: dict[str, tuple[Callable[[Folder], list[str]], int, str]] = {
    "unknown module": (lambda _: ["run", "nowhere:f", "--items", "items.jsonl"], 2, "no module 'nowhere'"),
    "unknown function": (lambda _: ["run", "tasks.py:sqare", "--items", "items.jsonl"], 2, "square"),
    "neither spec nor task": (lambda _: ["run", "something", "--items", "items.jsonl"], 2, "neither a spec nor a task"),
    "task without items": (lambda _: ["run", "tasks.py:square"], 2, "--items FILE"),
    "nothing after --": (lambda _: ["run", "--each", "*.py", "--"], 2, "no command after --"),
    "no file matches": (lambda _: ["run", "--each", "*.nothing", "--", "cat", "{}"], 2, "no file matches"),
    "missing items file": (lambda _: ["run", "tasks.py:square", "--items", "none.jsonl"], 2, "cannot be read"),
    "duplicate keys": (
        lambda f: [*_items(f, '{"key": "a", "n": 1}\n\n{"key": "a", "n": 2}\n')], 2, "items.jsonl, items 1 and 3",
    ),
    "no JSON": (lambda f: [*_items(f, '{"key": "a", "n": 1}\nnot json\n')], 2, "items.jsonl:2"),
    "NaN": (lambda f: [*_items(f, '{"key": "a", "n": NaN}\n')], 2, "items.jsonl:1"),
    "bad duration": (lambda _: [*RUN, "--timeout", "soon"], 2, "--timeout"),
    "bad size": (lambda _: [*RUN, "--memory", "much"], 2, "--memory"),
    "negative retries": (lambda _: [*RUN, "--retries", "-1"], 2, "--retries"),
    "cwd for a function": (lambda _: [*RUN, "--cwd", "x"], 2, "for commands"),
    "unknown option": (lambda _: [*RUN, "--wrokers", "2"], 2, "--workers"),
    "unknown command": (lambda _: ["rnu"], 2, "did you mean 'run'"),
    "no spool": (lambda _: ["run"], 2, "there is no spool here"),
    "no spool to list": (lambda _: ["jobs"], 2, "there is no spool here"),
    "not a database": (lambda f: [*RUN, "--spool", str(f.write("x.db", "hello " * 200))], 5, "x.db"),
    "not our database": (lambda f: [*RUN, "--spool", _sqlite(f, "CREATE TABLE t(x)")], 5, "is not a spool"),
    "a newer spool": (
        lambda f: [*RUN, "--spool", _sqlite(f, f"PRAGMA application_id={0x52535031}; PRAGMA user_version=99;")],
        5, "schema 99",
    ),
}  # fmt: skip


def _items(folder: Folder, text: str) -> list[str]:
    folder.write("items.jsonl", text)
    return list(RUN)


def _sqlite(folder: Folder, script: str) -> str:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder.path / "theirs.db")) as connection:
        connection.executescript(script + ";CREATE TABLE IF NOT EXISTS other(x)")
    return str(folder.path / "theirs.db")


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_error(folder: Folder, name: str) -> None:
    arguments, code, text = BAD[name]
    done = folder.run(*arguments(folder), code=code)
    assert done.err.startswith("respool: ")
    assert done.err.count("respool: ") == 1
    assert text in done.err
    assert done.out == ""
    assert folder.calls == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(folder: Folder) -> None:
    folder.path.chmod(0o500)
    try:
        assert "cannot be written" in folder.run(*RUN, code=5).err
    finally:
        folder.path.chmod(0o700)
