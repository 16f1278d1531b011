"""The options of `respool run` and `respool next`, and what their values are turned into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from respool.batch.store.intake import Wishes
from respool.cli.line import Line, Overrides
from respool.cli.options import option, together
from respool.errors import UsageError

COMMAND = "respool.command"  # where a command line's part after -- is kept


class TakesCommand(click.Command):
    """A command whose arguments may end with `-- PROGRAM ARGUMENTS`, which click would mix with its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        ctx.meta[COMMAND] = tuple(args[cut + 1 :])
        if cut < len(args) and not ctx.meta[COMMAND]:
            ctx.fail("there is no command after --")
        return super().parse_args(ctx, args[:cut])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND {}]"]


WHAT = together(
    click.argument("target", metavar="[SPEC.toml | MODULE:TASK]", required=False),
    option("--items", metavar="FILE", help="Items: a .jsonl or .csv file, or - for JSON lines on stdin."),
    option("--key", metavar="FIELD", help="The field that is an item's key [key or id]."),
    option("--each", metavar="GLOB", help="One item for each file that matches; quote it."),
    option("--name", help="The name of the job [the spec's path, or task and items]."),
    option("--then", multiple=True, metavar="TASK", help="A task that follows; may be repeated."),
    option("--then-on", type=click.Choice(["success", "finish"]), default="success", show_default=True,
           help="When it follows."),
)  # fmt: skip
CARE = together(
    option("--timeout", metavar="DUR", help='Per item, such as "90s".'),
    option("--memory", metavar="SIZE", help='Per item, such as "500MB".'),
    option("--limit", "limits", multiple=True, metavar="RATE", help='"30/min", or "openai=30/min" to share it.'),
    option("--job-timeout", metavar="DUR", help="For the whole job, per run; then it pauses."),
    option("--retries", type=click.IntRange(min=0), metavar="N", help="Further tries of an item that fails."),
    option("--version", metavar="TEXT", help="The task's version; another one runs finished items again."),
    option("--cwd", metavar="DIR", help="Where the command runs, and --each looks."),
    option("--output", "outputs", multiple=True, metavar="FILE", help="A file that it produces; {} is the key."),
    option("--marker", metavar="TEXT", help="What the command prints when it has succeeded."),
)
AGAIN = together(
    option("--no-resume", is_flag=True, help="Start afresh: ignore saved progress and earlier results of this job."),
    option("--retry-failed", is_flag=True, help="Failed items too, with fresh budgets."),
    option("--rerun-changed", is_flag=True, help="What other code has made, again."),
    option("--no-cache", is_flag=True, help="Take no finished results of equal work."),
    option("--force", is_flag=True, help="Finished items again (all, or those of --only)."),
)
REHEARSE = together(
    option("--mock-agent", is_flag=True, help="Rehearse: a built-in script answers, nothing real is called."),
    option("--rehearse", metavar="SCRIPT", help="Rehearse with the answers and faults of a script."),
)
RUNNING = together(
    option("--grace", metavar="DUR", envvar="RESPOOL_GRACE", help="For running items after Ctrl-C [30s]."),
    option("--patience", metavar="DUR", envvar="RESPOOL_PATIENCE",
           help="For a disk that is full, or a spool that another program locks [60s]."),
    option("--durability", type=click.Choice(["normal", "full"]), envvar="RESPOOL_DURABILITY",
           help="full: also against power loss [normal]."),
    option("--no-tui", is_flag=True, help="Plain lines instead of the live view."),
    option("--tui-debug", type=click.File("w", encoding="utf-8", lazy=False), metavar="FILE",
           help="Log what the view was told."),
)  # fmt: skip


def line_of(ctx: click.Context, given: dict[str, Any]) -> Line:
    """The part of the given options that says what to run."""
    return Line(
        target=given["target"], items=given["items"], key=given["key"], each=given["each"], name=given["name"],
        command=ctx.meta.get(COMMAND, ()), then=given["then"], then_on=given["then_on"],
        job_timeout=given["job_timeout"],
        overrides=Overrides(
            timeout=given["timeout"], memory=given["memory"], limits=given["limits"], retries=given["retries"],
            version=given["version"], cwd=given["cwd"], outputs=given["outputs"], marker=given["marker"],
        ),
    )  # fmt: skip


def wishes_of(given: dict[str, Any], only: Sequence[str] = ()) -> Wishes:
    """What the given options ask of items that are already there."""
    # What is to be made again must not be answered by the very result that it is to replace.
    anew = given["no_cache"] or given["force"] or given["rerun_changed"]
    return Wishes(
        retry_failed=given["retry_failed"], fresh=given["no_resume"], no_cache=anew,
        force=(tuple(only) or True) if given["force"] else False, rerun_changed=given["rerun_changed"],
    )  # fmt: skip


def names_a_job(line: Line) -> bool:
    """Whether the line says what to run. Raises UsageError if it does not, but has options that only then mean
    anything."""
    if line.target or line.items or line.each or line.command:
        return True
    if line != Line(then_on=line.then_on):
        raise UsageError(
            "these options need a job: a spec, a task or a command",
            why="without one, all open jobs are run as they are", command="respool run --help",
        )  # fmt: skip
    return False
