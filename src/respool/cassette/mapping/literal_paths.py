"""What an expression in a program says of a text or a path, as far as that can be told without running it.

What only the run knows is a HOLE in the text: `f"cassettes/{city}.yaml"` is "cassettes/", HOLE, ".yaml".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

HOLE = "\0"
_DEEP = 20  # expressions that lead to others; names may lead in a circle
_THROUGH = {"Path", "PurePath", "str", "fspath", "abspath", "realpath", "normpath"}  # f(x) says what x says
_SAME = {"resolve", "absolute", "as_posix", "expanduser", "strip"}  # x.f() says what x says
_PERCENT = re.compile(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[sdrfx]")
_BRACES = re.compile(r"\{[^{}]*\}")

Names = Mapping[str, ast.expr]


def assigned(body: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """The names that these statements give one value to, and only one."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name):
            twice |= {target.id} & found.keys()
            found[target.id] = value
    return {name: value for name, value in found.items() if name not in twice}


def told(node: ast.expr | None, names: Names, file: str) -> str:
    """The text of an expression, with a HOLE for each part that only the run knows; `file` is what __file__ says.

    >>> told(ast.parse('Path(__file__).parent / "tapes" / f"{city}.yaml"', mode="eval").body, {}, "/t/test_a.py")
    '/t/tapes/\\x00.yaml'
    """
    return _Look(names, file).text(node, 0)


def is_hollow(text: str) -> bool:
    """Whether nothing in a path is known that would tell its file from others.

    >>> [is_hollow(path) for path in (HOLE, f"{HOLE}/tapes/{HOLE}.yaml", f"{HOLE}/oslo.yaml", f"tapes/{HOLE}.yaml")]
    [True, True, False, False]
    """
    stem = text.rpartition("/")[2].partition(".")[0]
    return text.startswith(HOLE) and not any(character.isalnum() for character in stem)


class _Look:
    def __init__(self, names: Names, file: str) -> None:
        self._names = names
        self._file = file

    def text(self, node: ast.expr | None, depth: int) -> str:
        if node is None or depth > _DEEP:
            return HOLE
        match node:
            case ast.Constant(value=str() as value):
                return value
            case ast.Constant(value=int() as number):
                return str(number)
            case ast.Name(id="__file__"):
                return self._file
            case ast.Name(id=name):
                return self.text(self._names.get(name), depth + 1)
            case ast.JoinedStr(values=parts):
                return "".join(self.text(part, depth + 1) for part in parts)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.text(left, depth + 1) + self.text(right, depth + 1)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return joined([self.text(left, depth + 1), self.text(right, depth + 1)])
            case ast.BinOp(left=left, op=ast.Mod()):
                return _PERCENT.sub(HOLE, self.text(left, depth + 1))
            case ast.Attribute(value=value, attr="parent"):
                return above(self.text(value, depth + 1))
            case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=ast.Constant(value=int() as number)):
                found = self.text(value, depth + 1)
                for _ in range(number + 1):
                    found = above(found)
                return found
            case ast.Call():
                return self.call(node, depth + 1)
        return HOLE

    def call(self, node: ast.Call, depth: int) -> str:
        match node.func:
            case ast.Attribute(value=ast.Name(id="Path"), attr="cwd"):
                return ""
            case ast.Attribute(value=value, attr="joinpath"):
                return joined([self.text(each, depth) for each in (value, *node.args)])
            case ast.Attribute(value=value, attr="format"):
                return _BRACES.sub(HOLE, self.text(value, depth))
            case ast.Attribute(value=value, attr=name) if name in _SAME:
                return self.text(value, depth)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "join" or name in _THROUGH:
            return joined([self.text(each, depth) for each in node.args])
        if name == "dirname" and node.args:
            return above(self.text(node.args[0], depth))
        return HOLE


def joined(parts: Iterable[str]) -> str:
    """Parts of a path as one; an absolute part starts anew.

    >>> joined(["tests", "tapes/", "a.json"])
    'tests/tapes/a.json'
    """
    found = ""
    for part in parts:
        found = part if part.startswith("/") or not found else f"{found.rstrip('/')}/{part}"
    return found


def above(path: str) -> str:
    """The folder that a path lies in; of a path that is not known, one that is not known either."""
    return HOLE if path == HOLE else path.rpartition("/")[0]
