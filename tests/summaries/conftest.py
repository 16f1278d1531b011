"""The project's own provider (examples/extractive_provider.py) on a real port, and jobs of summaries that ask it."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quick_tasks import without_waits
from real_clusters import functional

from respool import Spool
from respool.batch.policy import Retry
from respool.clusters.model import Clustering
from respool.summaries.identity import Known
from respool.summaries.settings import Settings
from respool.summaries.tasks import generation_task, items_of, rows_of, session_with

EXAMPLES = Path(__file__).parents[2] / "examples"


def _module() -> Any:
    if "extractive_provider" not in sys.modules:
        spec = importlib.util.spec_from_file_location("extractive_provider", EXAMPLES / "extractive_provider.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["extractive_provider"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["extractive_provider"]


Started = Callable[..., Any]


@pytest.fixture
def provider() -> Iterator[Started]:
    """Starts a provider whose so-maniest answers go wrong as told: `provider({2: "429"})`."""
    running: list[tuple[Any, threading.Thread]] = []

    def start(faults: dict[int, str] | None = None, latency: float = 0.0) -> Any:
        server = _module().Server(0, faults, latency)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def small() -> Clustering:
    """Six real clusters."""
    whole = functional()
    return replace(whole, clusters=whole.clusters[10:16])


class Summaries:
    """Jobs of summaries in a spool of their own."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder / "spool.db")

    def settings(self, server: Any, **more: Any) -> Settings:
        return Settings(provider=server.url, model="extractive", **more)

    def run(
        self, clustering: Clustering | Any, settings: Settings, *, workers: int = 1, retry: Retry | None = None,
        force: Any = False, ask: Any = None, **options: Any,
    ) -> Any:  # fmt: skip
        """Submit and run; the handle."""
        data = clustering.to_data() if isinstance(clustering, Clustering) else clustering
        from respool.batch.store.reading import finished_payloads
        from respool.summaries.tasks import GENERATION

        known = Known(finished_payloads(self.spool.database(), GENERATION))
        items = items_of(rows_of(data), settings, known, force=force)
        task = without_waits(generation_task(settings))
        with session_with(settings, ask):
            handle = self.spool.submit(task, items, name="summaries", **options)
            self.report = self.spool.run([handle.id], workers=workers)
        return handle

    def states(self, handle: Any) -> dict[str, str]:
        return {item.key: str(item.state) for item in handle.items()}


@pytest.fixture
def summaries(tmp_path: Path) -> Iterator[Summaries]:
    made = Summaries(tmp_path)
    yield made
    made.spool.close()
