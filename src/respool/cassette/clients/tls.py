"""A client object costs no TLS context until it connects.

A client makes a context of its own, because its users may load certificates into it, and reads a CA bundle into it: 12
to 24 ms, the largest cost in a suite that makes a client per test. Here the reading is put off, while a client is being
made, until the first connection or the first look at the certificates. Everything else about the context is done at
once, by the client itself: the context is the same in live modes too, and a plain SSLContext again once it has read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from os import stat
from ssl import SSLContext, get_default_verify_paths
from threading import Lock
from types import ModuleType
from typing import Any, TypeAlias

from respool.cassette.clients.patches import Method, replace

_Load: TypeAlias = Callable[[], None]
_Bundle: TypeAlias = tuple[str | None, str | None, tuple[float, ...]]

_putting_off: ContextVar[bool] = ContextVar("respool_putting_off", default=False)
_good: set[_Bundle] = set()  # read once without an error: read again it will give the same
_reading = Lock()


def put_off_within(owner: type | ModuleType, name: str = "__init__") -> None:
    """Contexts that are made while the function `name` of `owner` runs read their CA bundles when they are needed.

    A bundle is read at once the first time, so that a broken one is told where it was without us; and where it changed.
    (Of the default paths nothing is told in any case.)
    """

    def make(original: Method) -> Method:
        def putting_off(*given: Any, **options: Any) -> Any:
            token = _putting_off.set(True)
            try:
                return original(*given, **options)
            finally:
                _putting_off.reset(token)

        return putting_off

    replace(owner, name, make)
    replace(SSLContext, "load_verify_locations", _load_verify_locations)
    replace(SSLContext, "set_default_verify_paths", _set_default_verify_paths)


def _load_verify_locations(original: Method) -> Method:
    def load_verify_locations(context: SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        put_off = _putting_off.get() and cadata is None and type(context) in (SSLContext, UnreadContext)
        bundle = _bundle(cafile, capath) if put_off else None
        if bundle in _good:
            _put_off(context, lambda: original(context, cafile, capath))
            return
        original(context, cafile, capath, cadata)
        if bundle is not None:
            _good.add(bundle)

    return load_verify_locations


def _set_default_verify_paths(original: Method) -> Method:
    def set_default_verify_paths(context: SSLContext) -> None:
        if not _putting_off.get() or type(context) not in (SSLContext, UnreadContext):
            original(context)
            return
        then, paths = _named_by_environment(), get_default_verify_paths()

        def load() -> None:
            if _named_by_environment() == then:
                original(context)
            elif paths.cafile or paths.capath:  # the environment counts as it was
                with suppress(OSError):
                    context.load_verify_locations(paths.cafile, paths.capath)

        _put_off(context, load)

    return set_default_verify_paths


def _named_by_environment() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def _put_off(context: SSLContext, load: _Load) -> None:
    vars(context).setdefault("respool_unread", []).append(load)
    context.__class__ = UnreadContext


def _bundle(cafile: Any, capath: Any) -> _Bundle | None:
    try:
        stats = [stat(path) for path in (cafile, capath) if path is not None]
        names = [None if path is None else os.fsdecode(path) for path in (cafile, capath)]
    except Exception:  # a detector of blocking calls forbids what ssl, unseen by it, is about to do: as if we were not there
        return None
    return names[0], names[1], tuple(number for each in stats for number in (each.st_mtime_ns, each.st_size, each.st_ino))


def read_what_was_put_off(context: SSLContext) -> None:
    """Read the CA bundles of `context` now, if that was put off."""
    with _reading:
        if type(context) is UnreadContext:
            unread: list[_Load] = vars(context)["respool_unread"]
            for load in unread:
                load()
            # Last: another thread that finds a plain context uses it at once.
            context.__class__ = SSLContext  # type: ignore[assignment]  # that it is another is the point
            del vars(context)["respool_unread"]


class UnreadContext(SSLContext):
    """A context whose CA bundles are not read yet. Whatever needs them reads them, and makes it a plain SSLContext."""

    def _wrap_socket(self, *given: Any, **options: Any) -> Any:
        read_what_was_put_off(self)
        return self._wrap_socket(*given, **options)

    def _wrap_bio(self, *given: Any, **options: Any) -> Any:
        read_what_was_put_off(self)
        return self._wrap_bio(*given, **options)

    def get_ca_certs(self, *given: Any, **options: Any) -> Any:
        read_what_was_put_off(self)
        return self.get_ca_certs(*given, **options)

    def cert_store_stats(self) -> dict[str, int]:
        read_what_was_put_off(self)
        return self.cert_store_stats()
