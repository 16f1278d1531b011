"""Frozen values ⇄ plain JSON data, exactly: what is read back equals what was written, and nothing is guessed.

A Record is a frozen dataclass whose fields are text, numbers, truth values, enums, other Records, tuples and dictionaries
of these, or None. Its type annotations are the schema: data that does not fit names the place where it does not. A field
that is missing has its default, if there is one.
"""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, Self, Union

from respool import canonical
from respool.errors import UsageError


class Record:
    """The base of the values that this package hands out.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True)
    ... class Point(Record):
    ...     name: str
    ...     at: tuple[float, ...]
    >>> Point.from_json(Point("a", (0.1, 1.0)).to_json())
    Point(name='a', at=(0.1, 1.0))
    """

    __slots__ = ()

    def to_data(self) -> dict[str, Any]:
        """The value as JSON-ready data: dictionaries, lists, text, numbers, truth values, None."""
        data: dict[str, Any] = _plain(self)
        return data

    def to_json(self) -> str:
        """The value as canonical JSON text: equal values have equal text, byte for byte."""
        return canonical.encode(self.to_data())

    @classmethod
    def from_data(cls, data: Any, *, where: str = "$") -> Self:
        """The value that `to_data` described. Raises UsageError, naming the place below `where`, for anything else."""
        value: Self = _read(cls, data, where)
        return value

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The value that `to_json` described. Raises UsageError for text that is no JSON, or describes something else."""
        try:
            data = canonical.decode(text)
        except canonical.NotCanonical as error:
            raise UsageError(f"this is no {cls.__name__.lower()}", why=str(error)) from None
        return cls.from_data(data)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _read(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(kind, data, where)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), data, where)
    if origin is typing.Literal:
        return data if data in typing.get_args(kind) else _refuse(kind, data, where)
    if origin is dict or kind is dict:
        return _read_mapping(typing.get_args(kind), data, where)
    if kind is Any:
        return data
    if isinstance(kind, type) and issubclass(kind, Record):
        return _read_record(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data) if data in [each.value for each in kind] else _refuse(kind, data, where)
    if kind is float and type(data) is int:
        return float(data)  # other programs write 1.0 as 1
    return data if type(data) is kind else _refuse(kind, data, where)


def _read_record(kind: type[Record], data: Any, where: str) -> Any:
    hints = _hints(kind)
    if not isinstance(data, dict):
        _refuse(kind, data, where)
    missing = [each.name for each in fields(kind) if each.name not in data and _is_needed(each)]  # type: ignore[arg-type]
    unknown = sorted(data.keys() - hints.keys())
    if missing or unknown:
        what = f"no {missing[0]!r}" if missing else f"an unknown {unknown[0]!r}"
        raise UsageError(f"this is no {kind.__name__.lower()}: it has {what}", where=where)
    return kind(**{name: _read(hint, data[name], f"{where}.{name}") for name, hint in hints.items() if name in data})


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        _refuse("list", data, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        _refuse(f"list of {len(kinds)}", data, where)
    return tuple(_read(kind, each, f"{where}[{at}]") for at, (kind, each) in enumerate(zip(kinds, data, strict=True)))


def _read_mapping(kinds: tuple[Any, ...], data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        _refuse("object", data, where)
    inner = kinds[1] if kinds else Any
    return {key: _read(inner, each, f"{where}.{key}") for key, each in data.items()}


def _read_union(kind: Any, data: Any, where: str) -> Any:
    if data is None and type(None) in typing.get_args(kind):
        return None
    (inner,) = (each for each in typing.get_args(kind) if each is not type(None))  # `X | None` is all that is used
    return _read(inner, data, where)


_HINTS: dict[type[Record], dict[str, Any]] = {}


def _hints(kind: type[Record]) -> dict[str, Any]:
    if kind not in _HINTS:  # reading them costs more than reading a value
        hints = typing.get_type_hints(kind)
        _HINTS[kind] = {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]  # all are dataclasses
    return _HINTS[kind]


def _refuse(kind: Any, data: Any, where: str) -> typing.NoReturn:
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    shown = repr(data) if len(repr(data)) <= 60 else f"{repr(data)[:57]}..."
    raise UsageError(f"expected {name}, found {shown}", where=where)
