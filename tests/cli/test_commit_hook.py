"""The hooks of .pre-commit-hooks.yaml, run by a real git before a real commit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from program import Folder

from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response

HOOKS = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dE3fG6"

# What pre-commit and prek do with such a hook: its entry, with the staged files that fit its pattern.
RUNNER = """#!{python}
import re, shlex, subprocess, sys
asked = ["git", "diff", "--cached", "--name-only", "--diff-filter=ACMR", "-z"]
staged = subprocess.run(asked, capture_output=True, text=True).stdout
files = [name for name in staged.split("\\0") if name and re.search({pattern!r}, name)]
sys.exit(subprocess.run([*{entry!r}, *files]).returncode if files else 0)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    git(made, "init", "-q", code=0)
    (hook,) = [each for each in yaml.safe_load(HOOKS.read_text()) if each["id"] == "respool-cassettes-installed"]
    script = made.write(".git/hooks/pre-commit", RUNNER.format(
        python=sys.executable, pattern=hook["files"], entry=shlex.split(hook["entry"])))  # fmt: skip
    script.chmod(0o755)
    made.write("pyproject.toml", "")
    return made


def git(folder: Folder, *arguments: str, code: int | None = None) -> str:
    """Run git as nobody in particular, with the program of this environment in its PATH."""
    who = {f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=folder.path, capture_output=True, text=True, timeout=120, check=False,
                          env={**kept, **who, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull})  # fmt: skip
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tape(folder: Folder, name: str, response: Response, url: str = "http://a.example/") -> None:
    Library(folder.path / "tests/cassettes").save(name, Cassette((Interaction(Request("GET", url), response, 1),)))


def commit(folder: Folder, code: int) -> str:
    git(folder, "add", "-A", code=0)
    return git(folder, "commit", "-q", "-m", "x", code=code)


def committed(folder: Folder) -> set[str]:
    return set(git(folder, "ls-tree", "-r", "--name-only", "HEAD", code=0).split())


def test_a_clean_cassette_is_committed(repository: Folder) -> None:
    tape(repository, "clean", Response(200, body=b"{}"))
    repository.write("data/other.json", f'"{TOKEN}"')  # no cassette, and none of our business
    commit(repository, 0)
    assert {"tests/cassettes/clean.json", "data/other.json"} <= committed(repository)


def test_a_planted_leak_blocks_the_commit_and_says_what_to_do(repository: Folder) -> None:
    tape(repository, "leak", Response(200, body=f'{{"note": "{TOKEN}"}}'.encode()))
    said = commit(repository, 1)
    assert "CASSETTE_LEAK  tests/cassettes/leak.json, interaction 1, response body" in said
    assert "respool cassettes check --fix --only leaks tests/cassettes/leak.json redacts it" in said
    assert TOKEN not in said
    repository.run("cassettes", "check", "--fix", "--only", "leaks", "tests/cassettes/leak.json", code=0)
    commit(repository, 0)


def test_a_body_that_nobody_can_look_into_blocks_it(repository: Folder) -> None:
    tape(repository, "packed", Response(200, headers=(("Content-Encoding", "gzip"),), body=b"\x1f\x8bno gzip at all"))
    assert "CASSETTE_UNDECODABLE" in commit(repository, 1)


def test_a_file_that_cannot_be_read_blocks_it(repository: Folder) -> None:
    repository.write("tests/cassettes/broken.json", '{"format": 1')
    assert "CASSETTE_UNREADABLE" in commit(repository, 1)


def test_only_staged_cassettes_are_looked_at(repository: Folder) -> None:
    tape(repository, "clean", Response(200, body=b"{}"))
    git(repository, "add", "-A", code=0)
    tape(repository, "leak", Response(200, body=TOKEN.encode()))
    git(repository, "commit", "-q", "-m", "x", code=0)
    assert {name for name in committed(repository) if name.startswith("tests/")} == {"tests/cassettes/clean.json"}


def test_the_hooks_match_cassettes_by_their_folder() -> None:
    hooks = yaml.safe_load(HOOKS.read_text())
    assert len({(hook["entry"], hook["files"]) for hook in hooks}) == 1
    for hook in hooks:
        assert {"id", "name", "entry", "language"} <= hook.keys()
        fits = re.compile(hook["files"]).search
        assert all(fits(name) for name in ("tests/cassettes/a.json", "cassettes/x/b.yaml", "a/cassettes/c.har"))
        assert not any(fits(name) for name in ("tests/a.json", "tests/cassettes.json", "mycassettes/a.json"))
