"""A group of commands that imports a command's file only when that command is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from respool.phrases import meant


class Lazy(NamedTuple):
    """A command that is not imported yet: how to get it, and its line in the help."""

    load: Callable[[], click.Command]
    help: str


class LazyGroup(click.Group):
    """`lazy` maps a command's name to what loads it: a help page imports nothing."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        return self.lazy[cmd_name].load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:  # fmt: skip
        if args and args[0] not in self.lazy and self.get_command(ctx, args[0]) is None:
            close = meant(args[0], self.list_commands(ctx))
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(self.list_commands(ctx))}"
            ctx.fail(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)
