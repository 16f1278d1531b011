"""Every block of code in README and docs is run, and does what the page says. How pages are read: pages.py."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from pages import PROJECT, PageError, Reader, blocks, matches, steps

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
NAMES = [page.relative_to(PROJECT).as_posix() for page in PAGES]

SOURCES = PROJECT / "src"
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCES.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]

# Commands that are shown and not run, with the reason.
SHOWN_ONLY = {
    "make test": "it is what runs this test",
    "make demo": "it would install into the environment of the running tests; test_demo.py runs its script",
    "make providers": "needs node, and takes minutes",
    "make crash": "takes minutes; it has its own place in the tests",
    "make bench": "takes minutes, and its figures belong to one machine",
    "make check": "takes a minute; the architecture is tested beside this",
}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_page(page: Path, tmp_path: Path) -> None:
    name, text = page.relative_to(PROJECT).as_posix(), page.read_text(encoding="utf-8")
    done = Reader(tmp_path, frozenset(SHOWN_ONLY)).read(name, text)  # stops with an error at what is not as shown
    assert done == len(list(blocks(name, text)))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS).failed == 0


def test_decisions_are_numbered_without_a_gap() -> None:
    names = [path.name for path in sorted((PROJECT / "docs" / "decisions").glob("*.md"))]
    assert [name[:5] for name in names] == [f"{number:04d}-" for number in range(1, len(names) + 1)]


def read(tmp_path: Path, text: str) -> int:
    return Reader(tmp_path, frozenset(SHOWN_ONLY)).read("page.md", text)


GOOD = """
A page.

<!-- file: tasks.py -->
```python
def double(x):
    return 2 * x
```

```toml title=conf/a.toml
x = 1
```

```python
import tasks
assert tasks.double(2) == 4
```

```pycon
>>> from tasks import double
>>> double(4)
8
```

1. in a list
   ```console
   $ cat conf/a.toml      # a comment
   x = 1
   $ echo one; echo "two is $RANDOM"; echo three >&2
   one
   two is [..]
   three
   $ seq 9
   1
   ...
   9
   $ (exit 3)
   $ echo $?
   3
   $ echo a \\
   > b
   a b
   $ make test
   $ echo "$NO_COLOR $COLUMNS $(basename $HOME) $(command -v python | grep -c bin/python)"
   1 100 home 1
   ```

```json
{"a": [1]}
```
```jsonl
{"a": 1}
{"a": 2}
```
```csv
a,b
1,2
```
```mermaid
stateDiagram-v2
    pending --> running
```
```text
anything { at all
```
"""


def test_a_right_page_is_green(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == 10


BAD = {
    "wrong output": "```console\n$ echo one\ntwo\n```",
    "output that goes on": "```console\n$ seq 2\n1\n```",
    "output that stops early": "```console\n$ seq 2\n1\n2\n3\n```",
    "wrong within a line": "```console\n$ echo one two\none [..] three\n```",
    "exit code": "```console\n$ false\n```",
    "exit code before a right output": "```console\n$ echo one; false\none\n```",
    "wrong exit code": "```console\n$ (exit 3)\n$ echo $?\n4\n```",
    "a command that is not there": "```console\n$ respool-that-is-not-there\n```",
    "a console without a command": "```console\nhello\n```",
    "an empty console": "```console\n```",
    "python that raises": "```python\nassert 1 == 2\n```",
    "python that does not parse": "```python\ndef f(:\n```",
    "a named module that raises": "```python title=a.py\nimport not_there\n```",
    "a wrong session": "```pycon\n>>> 1 + 1\n3\n```",
    "a script that fails half way": "```bash\nfalse\ntrue\n```",
    "bad toml": "```toml\nx = \n```",
    "bad toml with a name": "```toml title=a.toml\nx = \n```",
    "bad json": "```json\n{a: 1}\n```",
    "bad json line": '```jsonl\n{"a": 1}\n{\n```',
    "bad csv": "```csv\na,b\n1\n```",
    "bad diagram": "```mermaid\nhello\n```",
    "unknown language": "```klingon\nnuqneH\n```",
    "no language": "```\nhello\n```",
    "an open block": "```text\nhello\n",
    "tildes, indented": "  ~~~json\n  {\n  ~~~",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_wrong_page_is_red(tmp_path: Path, text: str) -> None:
    with pytest.raises(PageError, match=r"^page\.md:\d+: "):
        read(tmp_path, f"# Page\n\n{text}\n")


def test_blocks_say_where_they_are() -> None:
    found = list(blocks("page.md", GOOD))
    assert [block.line for block in found[:2]] == [6, 11]
    assert [block.name for block in found[:3]] == ["tasks.py", "conf/a.toml", None]
    assert steps(found[4])[0].command == "cat conf/a.toml      # a comment"


def test_wildcards_match_no_more_than_they_say() -> None:
    right = [(["..."], []), (["...", "b"], ["a", "b"]), (["a", "...", "b"], ["a", "b"]), (["a[..]c"], ["abc"])]
    wrong = [(["a[..]c"], ["ab", "c"]), (["a.c"], ["abc"]), (["a"], []), ([], ["a"]), (["...", "b"], ["ab"])]
    assert all(matches(shown, real) for shown, real in right)
    assert not any(matches(shown, real) for shown, real in wrong)


def test_a_page_can_ask_for_a_copy_of_the_project(tmp_path: Path) -> None:
    assert read(tmp_path, "<!-- folder: clone -->\n```console\n$ make help\n...\n  make demo [..]\n...\n```") == 1
