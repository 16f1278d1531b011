"""Errors as people read them and as they travel between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool import errors
from respool.errors import GiveUp, JobNotFound, RespoolError, RetryLater, SkipItem, TaskSignal


def descendants(cls: type[RespoolError]) -> Iterator[type[RespoolError]]:
    yield cls
    for below in cls.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from descendants(below)


ALL = list(descendants(RespoolError))
PLAIN = [cls for cls in ALL if "__init__" not in vars(cls) and not issubclass(cls, TaskSignal)]
lines = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["C"]), min_size=1, max_size=20)


@given(lines, st.none() | lines, st.none() | lines, st.none() | lines)
def test_a_message_says_what_where_why_and_the_next_command_in_that_order(
    what: str, where: str | None, why: str | None, command: str | None
) -> None:
    shown = str(JobNotFound(what, where=where, why=why, command=command)).split("\n")
    wanted = [what]
    for label, text in (("where: ", where), ("why:   ", why), ("next:  ", command)):
        if text is not None:
            wanted.append(f"  {label}{text}")
    assert shown == wanted


@pytest.mark.parametrize("cls", PLAIN)
def test_every_error_crosses_a_process_whole(cls: type[RespoolError]) -> None:
    error = cls("what", where="where", why="why", command="command")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert (twin.what, twin.where, twin.why, twin.command) == ("what", "where", "why", "command")
        assert str(twin) == str(error)


@pytest.mark.parametrize("signal", [RetryLater(1.5, "soon"), SkipItem("empty"), GiveUp("hopeless")])
def test_the_signals_of_tasks_cross_a_process_whole(signal: TaskSignal) -> None:
    twin = pickle.loads(pickle.dumps(signal))
    assert (type(twin), twin.what, vars(twin)) == (type(signal), signal.what, vars(signal))


@pytest.mark.parametrize("signal", [SkipItem, GiveUp])
def test_a_signal_without_words_says_something_all_the_same(signal: type[SkipItem] | type[GiveUp]) -> None:
    assert str(signal()).strip()
    assert str(RetryLater(3)).strip()


def test_the_tree_in_the_head_of_the_file_is_the_real_one() -> None:
    """The drawing is what people read; every class is in it, below its base, with no other."""
    text = inspect.getdoc(errors) or ""
    drawn: dict[str, str] = {}
    above: dict[int, str] = {}
    for indent, name in re.findall(r"^([ │├└─]*)([A-Z]\w+)(?=\s|$)", text.split("A message says")[0], re.MULTILINE):
        if name in vars(errors):
            depth = len(indent)
            drawn[name] = next((above[one] for one in sorted(above, reverse=True) if one < depth), "Exception")
            above = {one: other for one, other in above.items() if one < depth} | {depth: name}
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in ALL}
