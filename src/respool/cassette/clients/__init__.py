"""One adapter per HTTP client. Clients are hooked when the user imports them, never by importing them ourselves.

`install()` is called once per process: clients that are already imported are patched at once, the others when their
module has been loaded. Patches are made on the class, by its identity, and marked with their owner: they ask
open_decks.current() on each request, and cost one look-up where no deck is open.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

from respool.cassette.clients.patches import restore_all

ADAPTERS: dict[str, str] = {
    "aiohttp": "clients.aiohttp",
    "aioresponses": "hosts.aioresponses",
    "asyncio.base_events": "clients.uncovered",
    "curl_cffi.aio": "clients.uncovered",
    "curl_cffi.curl": "clients.uncovered",
    "http.client": "clients.http_client",
    "httpcore": "clients.httpcore",
    "httpcore2": "clients.httpcore",
    "httpx": "clients.httpx",
    "httpx2": "clients.httpx",
    "pycurl": "clients.uncovered",
    "requests_mock": "hosts.requests_mock",
    "responses": "hosts.responses",
    "respx": "hosts.respx",
    "urllib.request": "clients.http_client",
    "urllib3._async.connectionpool": "clients.urllib3_future",
    "urllib3.connectionpool": "clients.urllib3",
    "urllib3_future._async.connectionpool": "clients.urllib3_future",
    "urllib3_future.connectionpool": "clients.urllib3_future",
    "uvloop": "clients.uncovered",
}
"""Module of a client, or of a library that mocks some → the file whose `patch(module)` hooks it once it is loaded."""


class _Watch:
    """A finder in sys.meta_path that finds nothing itself: it lets the others find, and hears when a client is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in ADAPTERS:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(name, path, target)
            if found is not None:
                _call_after_loading(found)
                return found
        return None


_watch = _Watch()


def install() -> None:
    """Hook every client that is imported now, and those that will be. Called again it does nothing.

    A client whose shape we do not know is left as it is, and a RuntimeWarning says so.
    """
    if _watch in sys.meta_path:
        return
    sys.meta_path.insert(0, _watch)
    for name in ADAPTERS:
        if (module := sys.modules.get(name)) is not None:
            _patch(name, module)


def uninstall() -> None:
    """Put the clients back as they were. For our own tests: who plays cassettes leaves the hooks where they are."""
    if _watch in sys.meta_path:
        sys.meta_path.remove(_watch)
    restore_all()


def _call_after_loading(spec: ModuleSpec) -> None:
    """Let the loader of one module tell us when it is done, and leave no trace on it afterwards.

    The method is shadowed on the loader itself: a loader of our own would have to answer all that others ask a loader
    (its source, its resources).
    """
    loader = spec.loader
    if loader is None or isinstance(loader, type):  # built in or frozen: no client is
        return
    execute: Callable[[ModuleType], None] = loader.exec_module

    def executed(module: ModuleType) -> None:
        execute(module)
        if module.__name__ == spec.name or sys.modules.get(spec.name) is module:
            vars(loader).pop("exec_module", None)
            _patch(spec.name, module)

    loader.exec_module = executed  # type: ignore[method-assign]


def _patch(name: str, module: ModuleType) -> None:
    adapter = import_module(f"respool.cassette.{ADAPTERS[name]}")
    try:
        adapter.patch(module)
    except (AttributeError, ImportError, KeyError) as error:
        version = getattr(sys.modules[name.partition(".")[0]], "__version__", "of an unknown version")
        warnings.warn(
            f"respool does not know {name} {version}, its requests go to the network unrecorded: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
