"""Runs the code of a Markdown page: what a reader would see is what the test sees.

All blocks of a page share one folder and run in order. By their language:

    python          runs as a program                        pycon     a session with >>>, compared as doctest does
    console         `$ command` lines with their output      bash      runs as a script
    toml json jsonl csv mermaid    must be well-formed       text      is left alone

A block with a name is written to the folder under that name, for the blocks after it (a Python one is loaded once, to
see that it can be): either ```toml title=jobs.toml, or `<!-- file: jobs.toml -->` on the line before the block.
`<!-- folder: clone -->` anywhere on a page makes its folder a copy of this project instead of an empty one.

In the output of a command, a line `...` stands for any lines and `[..]` for anything within a line. A command without
output shown may print what it likes. It must end with exit code 0, unless the next command looks at `$?`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
TIMEOUT = 120
DIAGRAMS = ("stateDiagram-v2", "stateDiagram", "flowchart", "graph", "sequenceDiagram", "classDiagram", "erDiagram")

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
NAME_BEFORE = re.compile(r"^\s*<!--\s*file:\s*(\S+)\s*-->\s*$")
IN_CLONE = re.compile(r"^\s*<!--\s*folder:\s*clone\s*-->\s*$", re.MULTILINE)
PROMPT = re.compile(r"^\$ ?")


class PageError(AssertionError):
    """A page shows what is not so. The message begins with the page and the line."""


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is the number of its first line of content on the page."""

    page: str
    line: int
    language: str
    name: str | None
    text: str

    def error(self, message: str) -> PageError:
        return PageError(f"{self.page}:{self.line}: {message}")


@dataclass(frozen=True)
class Step:
    """One command of a console block with the output that the page shows for it."""

    command: str
    shown: list[str]


def blocks(page: str, text: str) -> Iterator[Block]:
    """The fenced blocks of a page in order. Raises PageError for one that is never closed."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        number += 1
        if opening is None:
            continue
        start = number
        closing = re.compile(rf" *{re.escape(opening['fence'])}{opening['fence'][0]}*\s*$")
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        if number == len(lines):
            raise PageError(f"{page}:{start}: this block is never closed")
        language, _, options = opening["info"].strip().partition(" ")
        title = re.search(r"\btitle=[\"']?([^\s\"']+)", options)
        before = next((line for line in reversed(lines[: start - 1]) if line.strip()), "")
        name = title or NAME_BEFORE.match(before)
        content = "".join(line.removeprefix(opening["indent"]) + "\n" for line in lines[start:number])
        yield Block(page, start + 1, language, name[1] if name else None, content)
        number += 1


def steps(block: Block) -> list[Step]:
    """The commands of a console block. A line that begins with `> ` goes on with the command above it."""
    found: list[Step] = []
    for line in block.text.splitlines():
        if PROMPT.match(line):
            found.append(Step(PROMPT.sub("", line), []))
        elif not found:
            raise block.error(f"a console block begins with `$ command`, not with {line!r}")
        elif line.startswith("> ") and not found[-1].shown:
            found[-1] = Step(f"{found[-1].command}\n{line[2:]}", [])
        else:
            found[-1].shown.append(line.rstrip())
    for step in found:
        while step.shown and not step.shown[-1]:
            step.shown.pop()
    return found


def matches(shown: list[str], real: list[str]) -> bool:
    """Whether the real output is what is shown, `...` and `[..]` being wildcards.

    >>> matches(["a", "...", "took [..] s"], ["a", "b", "c", "took 0.3 s"])
    True
    """
    parts = []
    for line in shown:
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.split("[..]")) + r"\n")
    text = "".join(line.rstrip() + "\n" for line in real)
    return re.fullmatch("".join(parts), text) is not None


def environment(home: Path) -> dict[str, str]:
    """What the page's programs see: our own commands first, no colours, a fixed width, an empty home."""
    foreign = ("RESPOOL_", "PYTEST_", "COV_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    kept.update(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}", HOME=str(home), NO_COLOR="1",
        COLUMNS="100", LINES="40", TERM="dumb", LANG="C.UTF-8", LC_ALL="C.UTF-8", PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    return kept


class Reader:
    """Follows one page like a patient reader, in a folder of its own."""

    def __init__(self, folder: Path, skipped: frozenset[str] = frozenset()) -> None:
        """`skipped` are commands that are shown and not run."""
        self.folder = folder / "project"
        self.home = folder / "home"
        self.home.mkdir()
        self.skipped = skipped

    def read(self, page: str, text: str) -> int:
        """Run all blocks of the page; the number of blocks. Raises PageError at the first that is not as shown."""
        if IN_CLONE.search(text):
            copy_project(self.folder)
        else:
            self.folder.mkdir()
            (self.folder / "pyproject.toml").write_text('[project]\nname = "project"\nversion = "1"\n')
        count = 0
        for block in blocks(page, text):
            self.follow(block)
            count += 1
        return count

    def follow(self, block: Block) -> None:
        act = getattr(self, f"on_{block.language}", None)
        if act is None:
            known = sorted(name[3:] for name in dir(self) if name.startswith("on_"))
            raise block.error(f"unknown language {block.language!r}; name one of {', '.join(known)}")
        if block.name is not None:
            target = self.folder / block.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        act(block)

    def run(self, block: Block, *argv: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                argv, cwd=self.folder, env=environment(self.home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise block.error(f"did not end within {TIMEOUT} s: {argv[-1]}") from None
        # A shell that was ended by a signal itself (it had replaced itself by its last command) says what its caller would.
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return code, done.stdout.decode("utf-8", "replace")

    def expect_success(self, block: Block, *argv: str) -> None:
        code, output = self.run(block, *argv)
        if code:
            raise block.error(f"ended with exit code {code}:\n{output}")

    def on_python(self, block: Block) -> None:
        if block.name is not None:
            load = f"import runpy; runpy.run_path({block.name!r}, run_name='shown')"
            self.expect_success(block, sys.executable, "-c", load)
            return
        program = self.folder / f"block_{block.line}.py"
        program.write_text(block.text, encoding="utf-8")
        self.expect_success(block, sys.executable, program.name)
        program.unlink()

    def on_pycon(self, block: Block) -> None:
        session = self.folder / f"block_{block.line}.txt"
        session.write_text(block.text, encoding="utf-8")
        self.expect_success(block, sys.executable, "-m", "doctest", "-o", "ELLIPSIS", session.name)
        session.unlink()

    def on_bash(self, block: Block) -> None:
        self.expect_success(block, "bash", "-euo", "pipefail", "-c", block.text)

    def on_console(self, block: Block) -> None:
        todo, code = steps(block), 0
        if not todo:
            raise block.error("a console block without a command")
        for step, following in zip(todo, [*todo[1:], None], strict=True):
            if step.command.split("#")[0].strip() in self.skipped:
                continue
            # The exit code of the command before is what the page's reader would find in $?.
            code, output = self.run(block, "bash", "-c", f"(exit {code})\n{step.command}")
            if code and not (following and "$?" in following.command):
                raise block.error(f"$ {step.command}\nended with exit code {code}:\n{output}")
            if step.shown and not matches(step.shown, output.splitlines()):
                shown = "\n".join(step.shown)
                raise block.error(f"$ {step.command}\n--- shown on the page:\n{shown}\n--- what it printed:\n{output}")

    def on_toml(self, block: Block) -> None:
        try:
            tomllib.loads(block.text)
        except tomllib.TOMLDecodeError as error:
            raise block.error(f"no TOML: {error}") from None

    def on_json(self, block: Block) -> None:
        try:
            json.loads(block.text)
        except ValueError as error:
            raise block.error(f"no JSON: {error}") from None

    def on_jsonl(self, block: Block) -> None:
        try:
            for line in block.text.splitlines():
                json.loads(line)
        except ValueError as error:
            raise block.error(f"no JSON lines: {error}") from None

    def on_csv(self, block: Block) -> None:
        try:
            widths = {len(row) for row in csv.reader(block.text.splitlines(), strict=True)}
        except csv.Error as error:
            raise block.error(f"no CSV: {error}") from None
        if len(widths) != 1:
            raise block.error(f"rows of different lengths: {sorted(widths)}")

    def on_mermaid(self, block: Block) -> None:
        if not block.text.split() or block.text.split()[0] not in DIAGRAMS:
            raise block.error(f"a diagram begins with one of {', '.join(DIAGRAMS)}")

    def on_text(self, block: Block) -> None:
        """Text is for people."""


def copy_project(folder: Path) -> None:
    """This project as a fresh clone has it, with the virtual environment of the running tests."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (PROJECT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
    (folder / ".venv").symlink_to(sys.prefix)
