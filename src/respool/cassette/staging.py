"""Recording into a folder of its own: whoever re-records a test file says so in the environment of its tests.

RESPOOL_STAGING names a JSON file (see Orders). A process that finds it records every cassette of the project below
`folder`, at its path below `root`, or plays what was recorded there; the cassettes themselves stay as they are.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import SkipTest  # what pytest and unittest both take for a skip, wherever it is raised

from respool.cassette.deck import Throttle
from respool.cassette.library import Library
from respool.cassette.model import Failure, Mode
from respool.cassette.throttle import Throttling
from respool.clock import SYSTEM
from respool.errors import CassetteError
from respool.files import write_atomic
from respool.pace import Limit, Pace

VARIABLE = "RESPOOL_STAGING"
PACE_VARIABLE = "RESPOOL_PACE"
LINE = "RESPOOL_STAGING_LINE"
"""The number of a descriptor: a line to whoever started the process. It closes the line when its start is over. One that
plays first says that it is ready, and goes on when it is told to; the end of the line tells it to end."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a re-recording process is told. `facts` is the file that says at its end what happened, `waited` the one that
    says meanwhile how many seconds it has waited."""

    root: str
    folder: str
    records: bool
    facts: str
    waited: str
    pace: str
    limits: Mapping[str, str] = field(default_factory=dict)
    transient: tuple[int, ...] = (429, 503)
    allow_status: tuple[int, ...] = ()
    max_pause: float = 3600.0

    def write(self, path: Path) -> None:
        """Put them into the file that RESPOOL_STAGING will name."""
        write_atomic(path, json.dumps(asdict(self)), durable=False)

    @classmethod
    def read(cls, path: Path) -> Orders:
        """What `write` wrote."""
        data = json.loads(path.read_bytes())
        return cls(**{**data, "transient": tuple(data["transient"]), "allow_status": tuple(data["allow_status"])})


class Instead(NamedTuple):
    """Where and how a cassette is used in place of what was asked for."""

    path: Path
    mode: Mode
    declared: frozenset[int] | None
    throttle: Throttle | None


class Staging:
    """The staging of this process. `uses` are the cassettes that were opened (paths below the root) and by which tests,
    `declared` the error statuses that these want (None: all)."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.root, self.folder = Path(orders.root), Path(orders.folder)
        self.uses: dict[str, set[str]] = {}
        self.declared: dict[str, frozenset[int] | None] = {}
        self._waited = 0.0
        limits = {host: Limit(host, rates) for host, rates in orders.limits.items()}
        pace = Pace(Path(orders.pace), SYSTEM)
        self.throttling = Throttling(
            pace, limits, frozenset(orders.transient), orders.max_pause, SYSTEM, random.random, self._waiting
        )  # fmt: skip

    def instead(self, path: Path, mode: Mode, declared: frozenset[int] | None) -> Instead:
        """What a cassette at `path` becomes; `declared` are the error statuses that its test wants (None: all).

        Where only what was just recorded is played, nothing goes live: a test that would is skipped (raises SkipTest).
        """
        if declared is not None:
            declared |= frozenset(self.orders.allow_status)
        place = self._place(path)
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        if place is not None:
            self.uses.setdefault(place.relative_to(self.folder).as_posix(), set()).add(test)
        if not self.orders.records:
            live = mode is Mode.BYPASS or (place is None and mode is not Mode.REPLAY and not path.is_file())
            if live and test:
                raise SkipTest(f"it goes live (mode {mode.value!r}, {str(path)!r}), and this run proves what plays offline")
            return Instead(self.played_from(path), Mode.REPLAY, declared, None)
        throttle = self.throttling.around(declared)
        if place is None or mode is Mode.BYPASS:
            return Instead(path, mode, declared, throttle)
        name = place.relative_to(self.folder).as_posix()
        before = self.declared.get(name, frozenset())
        self.declared[name] = None if declared is None or before is None else before | declared
        # Staging begins empty, so FILL records all; who uses the cassette next in this process plays what is there by then.
        return Instead(place, Mode.FILL, declared, throttle)

    def played_from(self, path: Path) -> Path:
        """Where a cassette that is only read is found: as it was just recorded, if it was."""
        place = self._place(path)
        return place if place is not None and place.is_file() else path

    def errors_on(self, path: Path) -> frozenset[int]:
        """The error statuses on the present cassette at `path`: a mark that cannot declare any means at least these."""
        try:
            tape = Library(path.parent).load(path)
        except CassetteError:
            return frozenset()
        answers = [each.response for each in tape.interactions]
        return frozenset(each.status for each in answers if not isinstance(each, Failure) and each.status >= 400)

    def original(self, path: str | os.PathLike[str]) -> Path:
        """The place of a cassette that was used in staging; any other path as it is."""
        whole = Path(os.path.abspath(path))
        return self.root / whole.relative_to(self.folder) if whole.is_relative_to(self.folder) else whole

    def relative(self, path: Path) -> str:
        """A path below the root, in the form of `uses`."""
        return os.path.relpath(path, self.root).replace(os.sep, "/")

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write what happened, and give back what the limits gave."""
        self.throttling.pace.close()
        told = {
            **facts, **self.throttling.facts(), "waited": round(self._waited, 3),
            "uses": {path: sorted(tests) for path, tests in sorted(self.uses.items())},
            "declared": {path: None if each is None else sorted(each) for path, each in self.declared.items()},
        }  # fmt: skip
        write_atomic(Path(self.orders.facts), json.dumps(told), durable=False)

    def _place(self, path: Path) -> Path | None:
        """Its place in staging; itself if it is there already; None for what is not below the root."""
        whole = Path(os.path.abspath(path))
        if whole.is_relative_to(self.folder):
            return whole
        return self.folder / whole.relative_to(self.root) if whole.is_relative_to(self.root) else None

    def _waiting(self, seconds: float) -> None:
        self._waited += seconds
        write_atomic(Path(self.orders.waited), f"{self._waited:.3f}", durable=False)


@lru_cache(maxsize=1)
def here() -> Staging:
    """The staging of this process. Raises KeyError if there is none."""
    return Staging(Orders.read(Path(os.environ[VARIABLE])))
