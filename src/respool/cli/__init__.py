"""The command line. `main` is the program: whatever happens, its user sees a message and an exit code, no traceback.

Commands are loaded when they are called: `respool jobs list` imports neither the runner nor anything that draws.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from respool.cli.lazy import Lazy, LazyGroup
from respool.cli.talk import ReaderGone, error_data, put_json, say
from respool.errors import RespoolError, UsageError
from respool.files import open_closed_streams
from respool.phrases import meant


def _run() -> click.Command:
    from respool.cli.run import run

    return run


def _next() -> click.Command:
    from respool.cli.run import next_item

    return next_item


def _jobs() -> click.Command:
    from respool.cli.jobs import jobs

    return jobs


def _cassettes() -> click.Command:
    from respool.cli.cassettes import cassettes

    return cassettes


def _rerecord() -> click.Command:
    from respool.cli.rerecord import rerecord

    return rerecord


def _cluster() -> click.Command:
    from respool.cli.cluster import cluster

    return cluster


def _summarise() -> click.Command:
    from respool.cli.summarise import summarise

    return summarise


def _doctor() -> click.Command:
    from respool.cli.doctor import doctor

    return doctor


def _serve() -> click.Command:
    from respool.cli.serve import serve

    return serve


def _completion() -> click.Command:
    from respool.cli.completion import completion

    return completion


@click.group(
    cls=LazyGroup,
    lazy={
        "run": Lazy(_run, "Run a batch, or go on where the last run stopped."),
        "next": Lazy(_next, "Run just one item."),
        "jobs": Lazy(_jobs, "Look at jobs and items; retry, cancel, watch, prune."),
        "cassettes": Lazy(_cassettes, "Look after the cassettes that tests play from."),
        "rerecord": Lazy(_rerecord, "Record the cassettes of a test suite again, in parallel."),
        "cluster": Lazy(_cluster, "Find clusters in networks and tables, and what they are made of."),
        "summarise": Lazy(_summarise, "Let a model summarise clusters, and hold it to the evidence."),
        "doctor": Lazy(_doctor, "Find what is wrong with a spool, and mend it."),
        "serve": Lazy(_serve, "Serve an HTTP API and a page over the jobs, and run what is due."),
        "completion": Lazy(_completion, "Print the completion script for a shell."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="respool", message="respool %(version)s")
def cli() -> None:
    """Push slow, paid and rate-limited calls through in durable batches; look after the cassettes of tests.

    Whatever ends a run, the same command again goes on where it stopped.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line with `arguments` (or those of the process) and exit with a code of exits.py."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    open_closed_streams()
    code = _guarded(given)
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:  # the reader or the terminal has gone: the interpreter's own flush would change the exit code
            setattr(sys, name, None)
    sys.exit(code)


def _guarded(given: list[str]) -> int:
    from respool.cli.exits import Exit, exit_of_error
    from respool.cli.options import addressed

    as_json = "--json" in given[: given.index("--")] if "--" in given else "--json" in given
    try:
        result = cli.main(given, prog_name="respool", standalone_mode=False)
        return int(result) if isinstance(result, int) else int(Exit.DONE)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return int(Exit.USAGE)
    except click.ClickException as error:
        return _told(_usage(error, given), Exit.USAGE, as_json)
    except RespoolError as error:
        error.command = error.command and addressed(error.command, given)
        return _told(error, exit_of_error(error), as_json)
    except (click.Abort, KeyboardInterrupt):
        say("respool: interrupted; the same command again goes on where it stopped")
        return int(Exit.INTERRUPTED)
    except ReaderGone:
        return int(Exit.READER_GONE)
    except Exception as error:
        if os.environ.get("RESPOOL_TRACEBACK"):
            raise
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        told = RespoolError(
            f"an error in respool itself: {text}", why="this must not happen; what was committed is safe",
            command="run it again with RESPOOL_TRACEBACK=1 and report what it prints",
        )  # fmt: skip
        return _told(told, Exit.BUG, as_json)


def _usage(error: click.ClickException, given: Sequence[str]) -> UsageError:
    """click's complaint in our words: on one line, with the help of the command that was meant, and fewer guesses."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else " ".join(["respool", *given[:1]])
    what = " ".join(error.format_message().split())
    if isinstance(error, click.NoSuchOption):
        close = meant(error.option_name, error.possibilities or ())
        what = f"no option {error.option_name!r}" + (f"; did you mean {' or '.join(close)}?" if close else "")
        if "--each" in given and "--" not in given:
            what += "; the command and its options go after --"
    return UsageError(what, command=f"{path} --help")


def _told(error: RespoolError, code: int, as_json: bool) -> int:
    say(f"respool: {error}")
    if as_json:
        with contextlib.suppress(ReaderGone, RespoolError):
            put_json({"error": error_data(error), "exit": int(code)})
    return int(code)
