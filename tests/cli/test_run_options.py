"""What the options of `run` are turned into."""

from __future__ import annotations

from typing import Any

import click
import pytest

from respool.cli.line import Line, Overrides
from respool.cli.run_options import COMMAND, TakesCommand, names_a_job, wishes_of
from respool.errors import UsageError

NONE: dict[str, Any] = dict.fromkeys(("retry_failed", "no_resume", "no_cache", "force", "rerun_changed"), False)


def test_what_follows_the_dashes_is_the_command() -> None:
    command = TakesCommand("run", params=[click.Option(["--n"]), click.Argument(["target"], required=False)])
    context = command.make_context("run", ["spec", "--n", "1", "--", "prog", "--n", "{}", "--"])
    assert context.params == {"n": "1", "target": "spec"}
    assert context.meta[COMMAND] == ("prog", "--n", "{}", "--")
    with pytest.raises(click.UsageError, match="no command after --"):
        command.make_context("run", ["spec", "--"])


def test_wishes() -> None:
    assert wishes_of(NONE) == wishes_of(NONE, ["a"])
    assert wishes_of({**NONE, "force": True}).force is True
    assert wishes_of({**NONE, "force": True}, ["a"]).force == ("a",)
    for name in ("force", "rerun_changed", "no_cache"):
        assert wishes_of({**NONE, name: True}).no_cache  # or the old result would be its own replacement


def test_a_line_that_names_no_job() -> None:
    assert names_a_job(Line("x.toml"))
    assert not names_a_job(Line())
    with pytest.raises(UsageError, match="need a job"):
        names_a_job(Line(overrides=Overrides(version="2")))
