"""`respool serve`: the web door, and the runner of what is due, until a signal ends both."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import signal
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from respool.cli import options
from respool.cli.exits import exit_of_signal
from respool.cli.options import option, places_of, together
from respool.cli.talk import put_json, say
from respool.cli.wanted import check_workers
from respool.config import load_project, parse_duration
from respool.errors import UsageError
from respool.phrases import counted

if TYPE_CHECKING:
    from respool.web.serving import Serving

PORT = 8765
LOCAL = "127.0.0.1"
SHORTEST_TOKEN = 16
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("serve")
@together(
    option("--host", default=LOCAL, show_default=True, help="The address to listen on."),
    option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one."),
    option("--token", metavar="TEXT", envvar="RESPOOL_TOKEN", help="What who comes in must know [made anew]."),
    option("--workers", "--parallel", "workers", metavar="N", envvar="RESPOOL_WORKERS",
           help="How many items at once [1]; or dask://HOST:PORT."),
    option("--grace", metavar="DUR", envvar="RESPOOL_GRACE", help="For running items after Ctrl-C [30s]."),
    option("--patience", metavar="DUR", envvar="RESPOOL_PATIENCE", help="For a spool that takes no writes [60s]."),
    option("--open", "open_page", is_flag=True, help="Open the page in the browser."),
)
@options.WHERE
@options.FOR_MACHINES
def serve(**given: Any) -> int:
    """Serve the jobs of a spool: an HTTP API, a stream of events, and one page; and run what is due.

    The address that is printed holds a token; nobody comes in without it. Tasks that may be submitted are named in
    pyproject.toml: [tool.respool.serve] tasks = ["module:function"]. While another runner holds the spool, submissions
    are handed to it.
    """
    if missing := [name for name in ("fastapi", "uvicorn", "jinja2") if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"respool serve needs {' and '.join(missing)}", why="they come with an extra",
            command="pip install 'respool[web]'",
        )  # fmt: skip
    from respool.web.serving import listening

    serving = _serving(given)
    with listening(serving.host, serving.port) as sock:
        port = sock.getsockname()[1]
        ready = _Announcement(serving, port, given)
        return exit_of_signal(asyncio.run(_until_a_signal(serving, sock, ready)))


def _serving(given: dict[str, Any]) -> Serving:
    """The options, checked, with what the project says where they say nothing."""
    from respool.web.serving import Serving
    from respool.web.settings import load_settings

    project = load_project()
    usual = check_workers(1 if project.workers is None else project.workers, where=project.where("workers"))
    if given["token"] is not None and len(given["token"]) < SHORTEST_TOKEN:
        raise UsageError(
            f"a token has at least {SHORTEST_TOKEN} characters, not {len(given['token'])}",
            why="who guesses it may read and run everything", command="leave --token out: one is made",
        )  # fmt: skip
    return Serving(
        load_settings(), given["host"], given["port"], given["token"] or secrets.token_urlsafe(32), given["spool"],
        usual if given["workers"] is None else check_workers(given["workers"]),
        _seconds(given["grace"], project.grace, 30.0, "--grace"),
        _seconds(given["patience"], project.patience, 60.0, "--patience"),
    )  # fmt: skip


def _seconds(given: str | None, project: float | None, usual: float, name: str) -> float:
    if given is not None:
        return parse_duration(given, what=name)
    return usual if project is None else project


class _Announcement:
    """Says once where the page is, as soon as it can be asked for. A token that was given is not printed."""

    def __init__(self, serving: Serving, port: int, given: dict[str, Any]) -> None:
        self._serving, self._port, self._given = serving, port, given

    def __call__(self) -> None:
        serving, given = self._serving, self._given
        host = LOCAL if serving.host in ("0.0.0.0", "::") else serving.host
        root = f"http://{f'[{host}]' if ':' in host else host}:{self._port}/"
        page = root if given["token"] else f"{root}?token={serving.token}"
        spool = str(places_of(serving.spool).database)
        workers = counted(serving.workers, "worker") if isinstance(serving.workers, int) else serving.workers
        tasks = ", ".join(serving.settings.tasks) or "none; name them in [tool.respool.serve] of pyproject.toml"
        say(f"respool: serving {spool}, {workers}")
        say(f"  page:   {page}")
        say(f"  tasks:  {tasks}")
        if given["as_json"]:
            put_json({
                "url": root, "token": None if given["token"] else serving.token, "pid": os.getpid(), "spool": spool,
                "tasks": list(serving.settings.tasks),
            })  # fmt: skip
        if given["open_page"]:
            webbrowser.open_new_tab(page)


async def _until_a_signal(serving: Serving, sock: Any, ready: Callable[[], None]) -> int:
    from respool.web.serving import serve as serve_on

    loop = asyncio.get_running_loop()

    def listen(stop: Callable[[int], None]) -> None:
        for number in SIGNALS:
            loop.add_signal_handler(number, stop, number)

    return await serve_on(serving, sock, told=say, ready=ready, listen=listen)
