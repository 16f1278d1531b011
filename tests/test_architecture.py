"""The walls of the house stand where docs/architecture.md says, and every rule that checks them can fail.

The tables and rules are in architecture.py. A new module is placed in its FLOORS; who needs an exception adds a line
with the reason to its ALLOWED.
"""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from architecture import ALLOWED, RULES, Source, complaints, cycle, floor_of, forbidden_edges

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "respool"
SOURCES = [
    Source(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
]

PUBLIC_NAMES = (
    "Breaker Context Env Form GiveUp Header JobHandle Json Limit Matching Query Recording RequestNotRecorded "
    "RespoolError Retry RetryLater RunReport SkipItem Spool Value play_inside task use_cassette"
)

# Importing `respool`, which every test suite and every task does, may load none of these.
HEAVY = (
    "rich click asyncio sqlite3 distributed httpx httpcore requests urllib3 aiohttp urllib.request http.client"
)

# file → (test file, why its tests are there); every other file has the test file that mirrors its path
TESTED_ELSEWHERE: dict[str, tuple[str, str]] = {
    "findings.py": ("test_doctor.py", "values without behaviour; the doctor is what gives them meaning"),
    "cli/doctor.py": ("test_doctor.py", "the doctor is tested through its command line"),
    "cassette/clients/http_response.py": ("cassette/clients/test_urllib3.py", "urllib3 reads answers of http.client"),
    "cassette/clients/httpcore.py": ("cassette/clients/test_client_contract.py", "every client passes one suite"),
    "cassette/clients/aiohttp_before_middlewares.py": ("cassette/clients/test_clients.py", "the contract with old versions"),
    "cassette/clients/pool_call.py": ("cassette/clients/test_urllib3.py", "what urllib3 and its fork have in common"),
    "cassette/clients/urllib3_future.py": ("cassette/clients/test_clients.py", "runs the contract where niquests is"),
    "cassette/clients/patches.py": ("cassette/clients/test_clients.py", "what is hooked is hooked once"),
    "cassette/clients/layers.py": ("cassette/clients/test_client_contract.py", "layered clients pass it too"),
    "cassette/clients/transports.py": ("cassette/clients/test_httpx.py", "what httpx and httpcore have in common"),
    "cassette/keys.py": ("cassette/test_matching.py", "the parts of what a rule makes of a request"),
    "cassette/staging.py": ("rerecord/test_whole_runs.py", "the folder that whole runs record into"),
    "pytest_plugin/staged.py": ("rerecord/test_whole_runs.py", "the tests that whole runs run"),
    "compat/vcr/staged.py": ("rerecord/test_whole_runs.py", "tests marked vcr are recorded again there"),
    "cli/rerecord.py": ("rerecord/test_whole_runs.py", "the command that whole runs call"),
    "rerecord/unit.py": ("rerecord/test_whole_runs.py", "the program of each of their items"),
    "rerecord/programs.py": ("rerecord/test_whole_runs.py", "the programs that it starts"),
    "rerecord/settings.py": ("rerecord/test_rerecord_settings.py", "other settings have a test_settings.py"),
    "rerecord/plan.py": ("rerecord/test_rerecord_plan.py", "other plans may come"),
    "rerecord/job.py": ("rerecord/test_rerecord_job.py", "other jobs may come"),
    "rerecord/history.py": ("rerecord/test_rerecord_job.py", "what earlier jobs came to"),
    "rerecord/report.py": ("rerecord/test_rerecord_job.py", "what is told of a job"),
    "cassette/tape.py": ("cassette/test_format.py", "it makes what the format's text says"),
    "cassette/stored_frames.py": ("cassette/test_codings.py", "a frame is right if the coding's own decoder reads it"),
    **{
        f"cassette/redaction/{name}.py": ("cassette/test_redaction.py", "a part of redaction, proven by what is redacted")
        for name in ("rules", "sensitive_positions", "secret_shapes", "secret_values", "known_values", "json_text", "edits")
    },
    **{
        f"cassette/mapping/{name}.py": ("cassette/mapping/test_scan.py", "what they say is held against what a run opens")
        for name in ("literal_paths", "reading", "wanted_names")
    },
    **{
        f"cassette/{name}.py": ("cli/test_cassettes_check.py", "a check is proven by what it finds on real cassettes")
        for name in ("upkeep/checks", "upkeep/age", "upkeep/fixes", "upkeep/remains", "upkeep/settings", "upkeep/upstream",
                     "upkeep/baseline", "leaks/second_opinion")
    },
    **{
        f"cli/{name}.py": ("cli/test_cassettes_check.py", "a part of what the command prints")
        for name in ("cassettes_sarif", "shown")
    },
    "pytest_plugin/observing.py": ("cassette/mapping/test_observed.py", "what a run observes is what is read afterwards"),
    **{
        f"cassette/drift/{name}.py": (f"cassette/drift/test_drift_{name}.py", "a name that others have too")
        for name in ("page", "report", "text")
    },
    "cassette/leaks/patterns.py": ("cassette/test_leaks.py", "what the leak check finds is what they are for"),
    "cassette/differences.py": ("cassette/test_nearest.py", "what a miss says"),
    **{
        f"cassette/clients/{name}.py": ("cassette/clients/test_client_contract.py", "every client passes one suite")
        for name in ("aiohttp", "http_client", "failures")
    },
    **{
        f"compat/vcr/{name}.py": ("compat/test_vcr.py", "vcrpy's surface is tested as its users use it")
        for name in (
            "cassette", "config", "context", "errors", "filters", "matchers", "persisters/filesystem", "record_mode",
            "request", "responses", "serialize", "serializers/jsonserializer", "serializers/yamlserializer", "unittest",
        )
    },
    **{
        f"pytest_plugin/{name}.py": ("pytest_plugin/test_cassette_marks.py", "the plugin is tested by real runs of pytest")
        for name in ("marks", "parallel", "settings", "shortening", "stashed", "summary", "tapes", "using")
    },
    **{
        f"pytest_plugin/{name}.py": ("pytest_plugin/test_vcr_marks.py", "suites of others, run by pytest")
        for name in ("neighbours", "vcr_fixtures", "vcr_hooks", "vcr_tapes")
    },
    **{
        f"clusters/{name}.py": (f"clusters/test_clusters_{name}.py", "a name that others have too")
        for name in ("confidence", "model", "network", "picture", "reading", "request", "table", "tasks")
    },
    "cli/cluster.py": ("cli/test_clustering.py", "a command and the job that it makes"),
    "cli/cluster_job.py": ("cli/test_clustering.py", "a command and the job that it makes"),
    "cassette/cleaning.py": ("cassette/test_recording.py", "what a recording refuses to keep"),
    **{
        f"{name}.py": ("cli/test_cassettes.py", "one group of commands")
        for name in ("cli/cassettes_look", "cli/cassettes_remove", "cli/cassettes_stats", "cassette/upkeep/pruning",
                     "cassette/upkeep/stats")
    },
    "batch/documents.py": ("cli/test_jobs_show.py", "the form of what --json prints, and the API answers"),
    **{
        f"web/{name}.py": ("web/test_api.py", "the web door is tested over real HTTP")
        for name in ("app", "forms", "office", "problems", "pulse", "serving")
    },
    "web/products.py": ("web/test_looking.py", "what the products say of their own jobs is a part of looking at them"),
    "web/settings.py": ("cli/test_serve.py", "settings that cannot be, as the command tells of them"),
    **{
        f"summaries/{name}.py": ("summaries/test_summaries_tasks.py", "a part of a job of summaries")
        for name in ("exchanges", "generation", "judge", "prompts", "costs", "tasks")
    },
    **{
        f"summaries/{name}.py": ("summaries/test_summaries_report.py", "what a reader is shown of a job of summaries")
        for name in ("report", "report_html", "report_picture", "result")
    },
    "summaries/identity.py": ("summaries/test_summaries_identity.py", "another file has that name"),
    "summaries/settings.py": ("summaries/test_summaries_settings.py", "another file has that name"),
    "cli/summary_view.py": ("cli/test_summarise.py", "what `respool summarise` says while it runs"),
    "cli/jobs_attempts.py": ("cli/test_summarise.py", "attempts that leave something are calls of models"),
    "batch/repairs.py": ("batch/test_upkeep.py", "a repair is proven by the finding that it ends"),
    "batch/model.py": ("batch/test_settle.py", "values; their legal moves are what verdicts are held against"),
    "batch/context.py": ("batch/test_execute.py", "tasks see it when they are tried"),
    "batch/courses.py": ("batch/test_spool.py", "part of a run"),
    "batch/digests.py": ("batch/test_forecast.py", "part of a submission"),
    "batch/expansion.py": ("batch/test_spool.py", "part of a run: follow-ups"),
    "batch/intray.py": ("batch/test_spool.py", "part of a run: what others ask of it"),
    "batch/planning.py": ("batch/test_spool.py", "part of a run"),
    "batch/runner.py": ("batch/test_spool.py", "the engine is tested by what runs do, and by killing it (test_crash.py)"),
    "batch/snapshot.py": ("cli/test_view.py", "what views show"),
    "batch/workers/pool.py": ("batch/test_spool.py", "part of a run"),
    "batch/workers/supervisor.py": ("batch/workers/test_commands.py", "runs in the shim, which only commands start"),
    "batch/workers/tail.py": ("batch/workers/test_commands.py", "runs in the shim, which only commands start"),
    "batch/workers/shim.py": ("batch/workers/test_commands.py", "a program that only the command workers start"),
    "batch/workers/worker_process.py": ("batch/workers/test_processes.py", "a program that only the workers start"),
}


def test_every_module_has_its_floor() -> None:
    homeless = [source.path for source in SOURCES if floor_of(source.module) is None]
    assert not homeless, f"place these in FLOORS of tests/architecture.py, or give them another name: {homeless}"


def test_nothing_is_imported_from_above_or_across() -> None:
    assert not list(forbidden_edges(SOURCES))


def test_no_cycles() -> None:
    assert cycle(SOURCES) is None


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    found = list(complaints(rule, SOURCES))
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("rule", RULES)
def test_no_exemption_is_idle(rule: str) -> None:
    """A file that no longer does what it was allowed to do loses its line in ALLOWED."""
    idle = [
        source.path
        for source in SOURCES
        if source.path in ALLOWED[rule] and len(source.tree.body) > 1 and not list(RULES[rule](source))
    ]
    assert not idle, f"no longer needed in ALLOWED[{rule!r}]: {idle}"


def mirror_of(path: str) -> Path:
    """Where the tests of a file are."""
    mirror = Path(path).parent / f"test_{Path(path).name}"
    return TESTS / TESTED_ELSEWHERE.get(path, (mirror, ""))[0]


def test_every_file_has_its_test() -> None:
    paths = [source.path for source in SOURCES if not source.path.endswith("__init__.py")]
    missing = [path for path in paths if not mirror_of(path).is_file()]
    assert not missing, "\n".join(["no test file:", *(f"{path} → {mirror_of(path)}" for path in missing)])


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_light() -> None:
    loaded = python("import sys; before = set(sys.modules); import respool; print(*(set(sys.modules) - before))")
    assert not set(loaded.split()) & set(HEAVY.split())


def test_the_public_names_are_the_written_ones() -> None:
    code = """
import respool, types
print(*sorted(n for n in respool.__all__ if n != "__version__"))
for name in respool.__all__:
    getattr(respool, name)
print(*sorted(n for n in dir(respool) if n[0] != "_" and not isinstance(getattr(respool, n), types.ModuleType)))
"""
    declared, real = python(code).splitlines()
    assert declared.split() == sorted(PUBLIC_NAMES.split())
    assert set(real.split()) - {"annotations", "TYPE_CHECKING"} == set(PUBLIC_NAMES.split())


# What each rule must catch: (rule, path, offending source). A rule that no longer sees these is no rule.
OFFENCES = [
    ("dynamic imports", "batch/runner.py", "import importlib\ndef f(x):\n    return importlib.import_module(x)"),
    ("dynamic imports", "batch/runner.py", "__import__('a' + 'b')"),
    ("pure", "batch/settle.py", "import os"),
    ("pure", "batch/settle.py", "def f():\n    from pathlib import Path"),
    ("pure", "batch/policy.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio"),
    ("pure", "batch/model.py", "import os.path as p"),
    ("pure", "batch/model.py", "open('x').read()"),
    ("pure", "cassette/deck.py", "import importlib\nimportlib.import_module('random')"),
    ("sqlite", "batch/upkeep.py", "import sqlite3"),
    ("sqlite", "doctor.py", "def f():\n    from sqlite3 import connect"),
    ("sql", "batch/store/jobs.py", "run('SELECT id FROM jobs')"),
    ("sql", "batch/store.py", "run('''\n  insert or ignore into items values (1)''')"),
    ("sql", "batch/upkeep.py", "run(f'DELETE FROM {table}')"),
    ("sql", "batch/upkeep.py", "x = 'UPDATE items SET ' + more"),
    ("sql", "batch/upkeep.py", "x = 'with a as (select 1) select * from a'"),
    ("sql", "batch/migrations.py", "x = 'CREATE TABLE a (b)'"),
    ("connection statements", "batch/upkeep.py", "run('PRAGMA integrity_check')"),
    ("connection statements", "batch/runner.py", "run('BEGIN IMMEDIATE')"),
    ("connection statements", "batch/runner.py", "run('COMMIT')"),
    ("clients", "summaries/model.py", "import httpx"),
    ("clients", "batch/policy.py", "from urllib.request import urlopen"),
    ("clients", "batch/policy.py", "import http.client"),
    ("workers", "batch/runner.py", "import subprocess"),
    ("workers", "batch/runner.py", "from threading import Thread as T\nT()"),
    ("workers", "doctor.py", "import threading\nthreading.Thread()"),
    ("workers", "doctor.py", "import os\nos.fork()"),
    ("workers", "doctor.py", "import asyncio\nasyncio.to_thread(f)"),
    ("workers", "doctor.py", "loop.run_in_executor(None, f)"),
    ("workers", "cli/run.py", "from concurrent import futures"),
    ("signals", "batch/runner.py", "import signal\nsignal.signal(signal.SIGINT, f)"),
    ("signals", "batch/runner.py", "from signal import signal as on\non(2, f)"),
    ("signals", "batch/workers/threads.py", "loop.add_signal_handler(2, f)"),
    ("time", "batch/runner.py", "import time"),
    ("time", "batch/runner.py", "from time import monotonic"),
    ("time", "batch/runner.py", "from datetime import datetime\ndatetime.now()"),
    ("time", "batch/runner.py", "import datetime as d\nd.datetime.utcnow()"),
    ("time", "batch/runner.py", "import asyncio\nasyncio.get_running_loop().time()"),
    ("writing", "batch/upkeep.py", "open('x', 'w')"),
    ("writing", "batch/upkeep.py", "open('x', mode='r+b')"),
    ("writing", "batch/upkeep.py", "open('x', mode)"),
    ("writing", "batch/upkeep.py", "path.open('a')"),
    ("writing", "batch/upkeep.py", "gzip.open('x', 'wb')"),
    ("writing", "batch/upkeep.py", "path.write_text('x')"),
    ("writing", "batch/upkeep.py", "import os\nos.open('x', os.O_RDWR)"),
    ("writing", "batch/upkeep.py", "import os\nos.open('x', flags)"),
    ("writing", "batch/upkeep.py", "import os\nos.fdopen(1, 'wb')"),
    ("writing", "batch/upkeep.py", "import tempfile"),
    ("writing", "batch/upkeep.py", "from shutil import copyfile"),
    ("printing", "batch/runner.py", "print('x')"),
    ("printing", "batch/runner.py", "import sys\nsys.exit(1)"),
    ("printing", "batch/runner.py", "import sys\nsys.stderr.write('x')"),
    ("printing", "batch/runner.py", "raise SystemExit(1)"),
    ("printing", "batch/runner.py", "from os import _exit"),
    ("printing", "doctor.py", "def f():\n    import rich.console"),
    ("size", "doctor.py", "x = 1\n" * 401),
    ("size", "doctor.py", "def f():\n" + "    x = 1\n" * 60),
    ("size", "doctor.py", "class A:\n    async def f(self):\n" + "        x = 1\n" * 60),
    ("private names", "doctor.py", "from respool.files import _OPEN"),
    ("private names", "doctor.py", "def f():\n    from respool.files import _close as close"),
    ("private names", "doctor.py", "from respool import files\nfiles._OPEN"),
    ("private names", "doctor.py", "import respool.files\nrespool.files._OPEN"),
    ("forbidden names", "utils.py", ""),
    ("forbidden names", "batch/core/x.py", ""),
    ("forbidden names", "doctor.py", "class FixManager: ..."),
    ("forbidden names", "doctor.py", "def common_part(): ..."),
    ("docstring", "doctor.py", "x = 1"),
]


@pytest.mark.parametrize(("rule", "path", "text"), OFFENCES)
def test_rule_catches(rule: str, path: str, text: str) -> None:
    assert list(complaints(rule, [Source(path, text)]))


def test_every_rule_is_shown_to_catch_something() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(RULES) == set(ALLOWED) - {"floors"}


# What looks like an offence and is none: a rule that cries at these would be argued away one day.
INNOCENT = [
    ("pure", "batch/places.py", "import os"),
    ("sql", "batch/upkeep.py", "'''SELECT id FROM jobs'''"),
    ("sql", "batch/upkeep.py", "x = 'Update the job and run it again'"),
    ("sql", "batch/upkeep.py", "x = 'selected from many'"),
    ("connection statements", "batch/upkeep.py", "x = 'Commit or rollback'"),
    ("connection statements", "batch/store/connection.py", "run('COMMIT')"),
    ("clients", "batch/policy.py", "from urllib.parse import quote"),
    ("workers", "batch/runner.py", "import threading\nthreading.Lock()"),
    ("workers", "batch/workers/threads.py", "import threading\nthreading.Thread()"),
    ("signals", "batch/runner.py", "import signal\nsignal.SIGINT"),
    ("time", "batch/runner.py", "clock.now()\nclock.sleep(1)\ntime = 1\nprint(time)"),
    ("writing", "batch/upkeep.py", "open('x')\nopen('x', 'rb')\npath.open()\npath.open('rb')"),
    ("writing", "batch/upkeep.py", "import os\nos.open('x', os.O_RDONLY | os.O_CLOEXEC)"),
    ("printing", "cli/run.py", "print('x')"),
    ("private names", "doctor.py", "from respool.batch.model import Output\nOutput._make(x)._replace(y=1)"),
    ("private names", "doctor.py", "from __future__ import annotations\nself._x = _y"),
    ("forbidden names", "doctor.py", "from contextlib import contextmanager\ndef commonly(): ..."),
    ("size", "doctor.py", "def f():\n" + "    x = 1\n" * 59),
]


@pytest.mark.parametrize(("rule", "path", "text"), INNOCENT)
def test_rule_leaves_alone(rule: str, path: str, text: str) -> None:
    assert not list(complaints(rule, [Source(path, text)]))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("batch/model.py", "from respool.batch.store import Store"),  # up
        ("batch/model.py", "def f():\n    import respool.batch.runner"),  # up, lazily
        ("errors.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from respool.batch import model"),
        ("batch/runner.py", "from .spool import Spool"),  # up, relative
        ("batch/workers/threads.py", "from ... import Spool"),  # up to the public names
        ("batch/tasks.py", "import importlib\nimportlib.import_module('respool.cli.run')"),
        ("batch/spool.py", "from respool.cassette.model import Request"),  # the other half
        ("cassette/recording.py", "import respool.batch.model"),
        ("cli/run.py", "from respool import pytest_plugin"),  # another door
        ("web/app.py", "from respool.cli import main"),
        ("clusters/evidence.py", "from respool.rerecord import plan"),  # another product
        ("batch/runner.py", "import respool.brandnew"),  # placed nowhere
        ("batch/novelty.py", "import respool.errors"),
    ],
)
def test_edges_that_are_caught(path: str, text: str) -> None:
    others = ["pytest_plugin/__init__.py", "batch/__init__.py", "batch/model.py"]
    assert list(forbidden_edges([Source(path, text), *(Source(other, "") for other in others)]))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("batch/settle.py", "from respool.batch.model import Item"),
        ("batch/spool.py", "from respool import errors\nfrom respool.batch.runner import Runner"),
        ("cli/serve.py", "from respool.web import start"),
        ("doctor.py", "from respool.rerecord import diagnose"),
        ("__init__.py", "from respool.batch.spool import Spool"),
    ],
)
def test_edges_that_are_allowed(path: str, text: str) -> None:
    assert not list(forbidden_edges([Source(path, text), Source("errors.py", "")]))


def test_cycles_are_caught() -> None:
    around = [
        Source("batch/policy.py", "def f():\n    from respool.batch import model"),
        Source("batch/model.py", "from respool.batch.settle import x"),
        Source("batch/settle.py", "import respool.batch.policy"),
    ]
    assert set(cycle(around) or ()) == {"batch/policy", "batch/model", "batch/settle"}
    assert cycle(around[:2]) is None


def test_every_exemption_has_a_reason() -> None:
    assert all(len(reason.split()) >= 3 for places in ALLOWED.values() for reason in places.values())
    assert not any(fnmatchcase("batch/runner.py", place) for places in ALLOWED.values() for place in places)
