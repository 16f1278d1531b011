"""The marks, fixtures and options of pytest-recording and pytest-vcr, on respool.compat.vcr.

Registered only where neither of them is active. A suite that used the one or the other finds its cassettes where they
are: in cassettes/MODULE/ (pytest-recording's layout), else in cassettes/ (pytest-vcr's).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respool.pytest_plugin.stashed import FAILURES
from respool.pytest_plugin.using import marked, use

MARKS = (
    "vcr(*also, **options): play this test's HTTP requests from a cassette, with vcrpy's options",
    "default_cassette(name): the name of the cassette of a vcr mark",
    "block_network(allowed_hosts=...): no connection but to these hosts (regular expressions)",
    "allowed_hosts(hosts): hosts to which connections are allowed",
)
MODES = ("once", "new_episodes", "none", "all", "rewrite")


def add_options(group: pytest.OptionGroup) -> None:
    """The options of both plugins."""
    group.addoption("--record-mode", choices=MODES, default=None, help="vcrpy's mode for tests marked vcr (default: none)")
    group.addoption("--block-network", action="store_true", help="no connection but to --allowed-hosts, except to record")
    group.addoption("--allowed-hosts", default=None, help="regular expressions, separated by commas")
    group.addoption("--disable-recording", action="store_true", help="leave vcr marks without effect")
    group.addoption("--vcr-record", dest="vcr_record", choices=MODES[:4], default=None, help="the same as --record-mode")
    group.addoption("--vcr-record-mode", dest="vcr_record", choices=MODES[:4], default=None, help="the same, deprecated")
    group.addoption("--disable-vcr", action="store_true", dest="disable_vcr", help="the same as --disable-recording")


class VcrMarks:
    """Gives every test marked `vcr` (or under a network block) its fixture, behind fixtures of wider scopes."""

    def __init__(self, config: pytest.Config) -> None:
        for mark in MARKS:
            config.addinivalue_line("markers", mark)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Insert the fixtures, the network's first."""
        everywhere = config.getoption("--block-network")
        for item in marked(items, "vcr"):
            use(item, "vcr")
        for item in items if everywhere else marked(items, "block_network"):
            use(item, "block_network")


def _merged(config: dict[str, Any], marks: list[pytest.Mark]) -> dict[str, Any]:
    merged = copy.deepcopy(config)
    for mark in reversed(marks):
        merged.update(mark.kwargs)
    return merged


def _asked(config: pytest.Config) -> str | None:
    asked: str | None = config.getoption("--record-mode") or config.getoption("vcr_record")
    return asked


@pytest.fixture(scope="session")
def record_mode(request: pytest.FixtureRequest) -> str:
    """The record mode of the command line, "none" without one."""
    return _asked(request.config) or "none"


@pytest.fixture(scope="session")
def disable_recording(request: pytest.FixtureRequest) -> bool:
    """Whether vcr marks have no effect in this run."""
    return bool(request.config.getoption("--disable-recording") or request.config.getoption("disable_vcr"))


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    """Options for every cassette; to be overridden."""
    return {}


@pytest.fixture
def allowed_hosts(request: pytest.FixtureRequest) -> list[str] | None:
    """Regular expressions of hosts that a network block leaves open: of the mark, the command line, or vcr_config."""
    mark = request.node.get_closest_marker("block_network")
    hosts = (mark.kwargs.get("allowed_hosts") if mark else None) or request.config.getoption("--allowed-hosts")
    hosts = hosts or request.getfixturevalue("vcr_config").get("allowed_hosts")
    return hosts.split(",") if isinstance(hosts, str) else hosts


@pytest.fixture
def vcr_markers(request: pytest.FixtureRequest) -> list[pytest.Mark]:
    """The vcr marks of this test, the nearest first."""
    return list(request.node.iter_markers("vcr"))


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The folder of this module's cassettes."""
    path: Path = request.node.path
    folder = path.parent / "cassettes"
    own = folder / path.stem
    return str(folder if not own.is_dir() and folder.is_dir() and any(folder.glob("*.yaml")) else own)


@pytest.fixture
def vcr_cassette_name(request: pytest.FixtureRequest) -> str:
    """Class.test[parameters], as the file's name."""
    name: str = request.node.name
    return f"{request.cls.__name__}.{name}" if request.cls else name


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest, vcr_cassette_name: str) -> str:
    """The name of this test's cassette: of its `default_cassette` mark, else vcr_cassette_name without odd characters."""
    mark = request.node.get_closest_marker("default_cassette")
    if mark is not None:
        if not mark.args:
            raise pytest.UsageError("@pytest.mark.default_cassette needs the cassette's name")
        return str(mark.args[0])
    return "".join("-" if each in "<>?%*:|\"'/\\" else each for each in vcr_cassette_name)


@pytest.fixture
def block_network(
    request: pytest.FixtureRequest, record_mode: str, vcr_markers: list[pytest.Mark],
) -> Iterator[None]:  # fmt: skip
    """No connection but to the allowed hosts, except while a cassette is being recorded."""
    mark = request.node.get_closest_marker("block_network")
    if mark is not None:
        _checked(mark)
    if vcr_markers and _asked(request.config) is None:
        record_mode = _merged(request.getfixturevalue("vcr_config"), vcr_markers).get("record_mode", "none")
    if vcr_markers and record_mode != "none":
        yield
        return
    from respool.cassette import guard

    with guard.blocking(request.getfixturevalue("allowed_hosts") or (), test=request.node.nodeid):
        yield


def _checked(mark: pytest.Mark) -> None:
    unknown = set(mark.kwargs) - {"allowed_hosts"}
    if mark.args or unknown:
        raise pytest.UsageError(f"@pytest.mark.block_network takes allowed_hosts only, not {[*mark.args, *sorted(unknown)]}")


def _opened(request: pytest.FixtureRequest, record_mode: str) -> Iterator[Any]:
    from respool.pytest_plugin.vcr_tapes import used

    marks = request.getfixturevalue("vcr_markers")
    name = request.getfixturevalue("default_cassette_name")
    options = _merged(request.getfixturevalue("vcr_config"), marks)
    failures = request.session.stash.get(FAILURES, 0)
    cassette, close = used(request, name, request.getfixturevalue("vcr_cassette_dir"), record_mode, options, marks)
    try:
        yield cassette
    finally:
        close(request.session.stash.get(FAILURES, 0) != failures)


@pytest.fixture
def vcr(
    request: pytest.FixtureRequest, vcr_markers: list[pytest.Mark], vcr_cassette_dir: str, record_mode: str,
    disable_recording: bool,
) -> Iterator[Any]:  # fmt: skip
    """The open cassette of a test marked `vcr`, with the methods of the VCR object, too. None where recording is disabled.

    Without the mark the VCR object, configured for this module; it counts as false.
    """
    if disable_recording:
        yield None
    elif vcr_markers:
        yield from _opened(request, record_mode)
    else:
        from respool.pytest_plugin.vcr_tapes import unmarked

        yield unmarked(request, vcr_cassette_dir, _asked(request.config), request.getfixturevalue("vcr_config"))


@pytest.fixture
def vcr_cassette(
    request: pytest.FixtureRequest, vcr: Any, vcr_markers: list[pytest.Mark], record_mode: str, disable_recording: bool,
) -> Iterator[Any]:  # fmt: skip
    """pytest-vcr's name of the open cassette; it opens one for a test without a mark, too."""
    if disable_recording or vcr_markers:
        yield vcr
    else:
        yield from _opened(request, record_mode)
