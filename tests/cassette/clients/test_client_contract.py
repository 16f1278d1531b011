"""Every client against every case: recorded and replayed, an application sees what it sees without us."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import drivers_httpx
import drivers_urllib3
import pytest
from contract import CASES, Case, Driver, Plan, comparable, deck_open, no_network
from server import Server

from respool.cassette.model import Cassette, Mode

DRIVERS: list[Driver] = [*drivers_httpx.DRIVERS, *drivers_urllib3.DRIVERS]
CELLS = [
    pytest.param(driver, name, id=f"{driver.name}-{name}")
    for driver in DRIVERS
    for name in CASES
    if name not in driver.not_applicable
]


def test_what_is_not_applicable_is_a_case() -> None:
    unknown = {(driver.name, name) for driver in DRIVERS for name in driver.not_applicable if name not in CASES}
    assert not unknown


class Bench:
    """The servers, and the plan of a case made concrete."""

    def __init__(self, plain: Server, tls: Server, authority: Path) -> None:
        self.servers = {"plain": plain, "tls": tls}
        self.plain = plain
        self.authority = authority

    def plan(self, case: Case) -> Plan:
        plan = case.plan
        if plan.proxy:
            plan = replace(plan, proxy=self.plain.url)
        return replace(plan, trust=str(self.authority)) if plan.trust == "authority" else plan

    def reset(self) -> None:
        for server in self.servers.values():
            server.reset()

    @property
    def connections(self) -> int:
        return sum(server.connections for server in self.servers.values())


@pytest.fixture
def bench(plain: Server, tls: Server, authority: Path) -> Bench:
    return Bench(plain, tls, authority)


@pytest.mark.parametrize(("driver", "name"), CELLS)
def test_case(driver: Driver, name: str, bench: Bench) -> None:
    case = CASES[name]
    plan, root = bench.plan(case), bench.servers[case.server].url
    bench.reset()
    live = driver.run(root, plan)
    assert case.shown(live), live

    bench.reset()
    with deck_open(mode=Mode.FILL, keep_failures=case.keep_failures) as deck:
        recording = driver.run(root, plan)
    assert comparable(recording) == comparable(live)
    closed = deck.close()
    assert (len(closed.fresh), closed.cut, closed.unfinished) == (case.recorded or len(plan.calls), 0, 0)

    bench.reset()
    with no_network(), deck_open(Cassette(closed.fresh), Mode.REPLAY) as deck:
        replayed = driver.run(root, plan)
    assert comparable(replayed) == comparable(live)
    assert (deck.played, deck.unplayed, deck.live, deck.misses) == (len(closed.fresh), (), 0, [])
    assert bench.connections == 0
