"""The pytest plugin: marks, fixtures and options for cassettes.

Everything beyond these hooks is imported when a mark, a fixture or an option needs it: the plugin stands in
environments whose tests never open a cassette.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from respool.errors import RequestNotRecorded
from respool.pytest_plugin.plain_imports import load_plainly
from respool.pytest_plugin.stashed import DESELECTED, FAILURES, FIGURES, PASSED, RUNNING, TAPES

__tracebackhide__ = True  # an error of a cassette is shown by what it says, not by how we came upon it

if TYPE_CHECKING:
    from respool.cassette.deck import Deck
    from respool.pytest_plugin.tapes import Opener

MARK = "cassette(name, *also, mode=..., scope=..., **options): play this test's HTTP requests from a cassette"


STAGED = "RESPOOL_STAGING" in os.environ

load_plainly()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Our own options; those of vcrpy's plugins are added where these are not installed."""
    group = parser.getgroup("respool", "cassettes (respool)")
    group.addoption(
        "--cassettes", choices=("replay", "fill", "rerecord", "bypass"), default=None,
        help="replay: never touch the network (default); fill: record what is missing; rerecord: record everything "
        "again; bypass: talk to the real services and keep nothing",
    )  # fmt: skip
    group.addoption(
        "--cassettes-json", metavar="PATH", default=None, help="write what was played, recorded and missed, per test",
    )  # fmt: skip
    from respool.pytest_plugin import neighbours

    if not neighbours.active(pluginmanager):
        from respool.pytest_plugin.vcr_fixtures import add_options

        add_options(group)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """pytest-recording's hook, which existing suites implement."""
    from respool.pytest_plugin import neighbours

    if not neighbours.active(pluginmanager):
        from respool.pytest_plugin import vcr_hooks

        pluginmanager.add_hookspecs(vcr_hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Answer to the name `vcr`, if the project asks for it, before the first conftest.py can import it."""
    if STAGED:
        from respool.pytest_plugin.staged import stand_by

        stand_by(early_config)
    from respool.pytest_plugin import settings

    if settings.answers_to_vcr(early_config):
        from respool.pytest_plugin import neighbours

        if not neighbours.vcrpy():
            from respool.compat.vcr import answer_to_vcr

            answer_to_vcr()


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark; refuse to record in parallel, in the controller and in every worker."""
    config.addinivalue_line("markers", MARK)
    from respool.pytest_plugin import neighbours

    if not neighbours.active(config.pluginmanager):
        from respool.pytest_plugin import vcr_fixtures

        config.pluginmanager.register(vcr_fixtures, "respool-vcr-fixtures")
        config.pluginmanager.register(vcr_fixtures.VcrMarks(config), "respool-vcr-marks")
    if config.getoption("--cassettes") in ("fill", "rerecord"):
        from respool.pytest_plugin.parallel import refuse_recording

        refuse_recording(config)
    if STAGED:
        from respool.pytest_plugin.staged import Staged

        config.pluginmanager.register(Staged(), "respool-staged")
    if not hasattr(config, "workerinput"):
        from respool.pytest_plugin.summary import Summary

        config.pluginmanager.register(Summary(config), "respool-summary")
        from respool.pytest_plugin.parallel import distributed

        if distributed(config):
            from respool.pytest_plugin.observing import FromWorkers

            config.pluginmanager.register(FromWorkers(), "respool-from-workers")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say who else plays cassettes here, and that their marks, or their name, are left to them."""
    from respool.pytest_plugin import neighbours, settings

    lines = []
    found = neighbours.active(config.pluginmanager)
    if found:
        lines.append(f"respool: {' and '.join(found)} keeps the vcr marks and options; uninstall it to let respool play them")
    if settings.answers_to_vcr(config) and neighbours.vcrpy():
        lines.append("respool: vcrpy is installed, and answers to its name itself; uninstall it to let respool do so")
    return lines


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every marked test its cassette, and refuse options that no mark has, before anything runs."""
    from respool.pytest_plugin.using import marked

    found = list(marked(items, "cassette"))
    if found:
        from respool.pytest_plugin.marks import prepare
        from respool.pytest_plugin.openings import Openings

        prepare(found)
        if not config.getoption("setupplan", False):
            config.pluginmanager.register(Openings(), "respool-openings")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """A run that leaves tests out shows nothing about what their cassettes need."""
    if items:
        stash = items[0].config.stash
        stash[DESELECTED] = stash.get(DESELECTED, 0) + len(items)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep which test opened which cassette, if any was opened."""
    if "respool.cassette.mapping.observed" in sys.modules:
        from respool.pytest_plugin.observing import tell, write_down

        if (trouble := write_down(session)) is not None:
            tell(session, trouble)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say whose cassette the fixture of that name is."""
    RUNNING.append(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The test's own context sees its cassette; a miss that the application swallowed fails the test here."""
    tapes = item.stash.get(TAPES, None)
    if not tapes:
        return (yield)
    for tape in tapes:
        tape.enter()
    try:
        result = yield
    finally:
        for tape in reversed(tapes):
            tape.leave()
    for tape in tapes:
        tape.complain()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Cassettes are written when all of the test's own teardown went well, and only then."""
    try:
        if TAPES not in item.stash:
            return (yield)
        from respool.pytest_plugin.tapes import finish

        try:
            result = yield
        except BaseException:
            finish(item, failed=True)
            raise
        finish(item)
        return result
    finally:
        RUNNING.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Remember how the test stands, and let its figures travel on its report."""
    if call.excinfo is not None and isinstance(call.excinfo.value, RequestNotRecorded):
        from respool.pytest_plugin.shortening import shorten

        shorten(call.excinfo.value, item.config.rootpath)
        call.excinfo = pytest.ExceptionInfo.from_exception(call.excinfo.value)
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.outcome == "passed"
        if report.outcome == "failed":
            item.session.stash[FAILURES] = item.session.stash.get(FAILURES, 0) + 1
    elif call.when == "teardown" and (figures := item.stash.get(FIGURES, None)):
        report.respool = figures
    return report


@pytest.fixture
def cassette() -> Deck:
    """The open cassette of this test: its Deck, with `played`, `recorded`, `live`, `misses` and `unplayed`."""
    from respool.pytest_plugin.tapes import opened

    return opened(RUNNING[-1]).deck


def _opening(request: pytest.FixtureRequest) -> Iterator[Deck]:
    from respool.pytest_plugin.tapes import opened_wider

    yield from opened_wider(request)


@pytest.fixture(scope="class")
def class_cassette(request: pytest.FixtureRequest) -> Iterator[Deck]:
    """One cassette for all tests of the class."""
    yield from _opening(request)


@pytest.fixture(scope="module")
def module_cassette(request: pytest.FixtureRequest) -> Iterator[Deck]:
    """One cassette for all tests of the module."""
    yield from _opening(request)


@pytest.fixture(scope="session")
def session_cassette(request: pytest.FixtureRequest) -> Iterator[Deck]:
    """One cassette for the whole run."""
    yield from _opening(request)


@pytest.fixture(scope="session")
def open_cassette(request: pytest.FixtureRequest) -> Opener:
    """`open_cassette("folder/name.json", **options)`: a cassette for a fixture of your own, in the mode of this run."""
    from respool.pytest_plugin.tapes import Opener

    return Opener(request.session)
