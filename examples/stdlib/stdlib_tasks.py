"""The two functions of this example: which modules the standard library has, and what one of them consists of."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ELSEWHERE = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


def modules() -> Iterator[tuple[str, dict[str, str]]]:
    """(dotted name, {"path"}) of every module that this Python's standard library has as source, without its tests."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if ELSEWHERE.isdisjoint(parts) and all(part.isidentifier() for part in parts):
            name = ".".join(parts).removesuffix(".__init__")
            yield name, {"path": str(path)}


def measure(payload: dict[str, str]) -> dict[str, Any]:
    """What the syntax tree of one module says: lines, functions, classes, and the longest function.

    >>> measure({"path": ast.__file__})["classes"] > 10
    True
    """
    source = Path(payload["path"]).read_bytes()
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    longest = max(functions, key=length, default=None)
    return {
        "lines": source.count(b"\n"),
        "functions": len(functions),
        "classes": sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
        "longest": {"name": longest.name, "lines": length(longest)} if longest else None,
    }


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of lines of a function."""
    return (function.end_lineno or function.lineno) - function.lineno + 1
