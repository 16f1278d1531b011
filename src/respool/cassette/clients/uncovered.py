"""Clients that no cassette covers and no guarded function of `socket` sees, for they connect below Python: they ask the
guard themselves.

libcurl (pycurl, curl_cffi) is asked with the URL of each request; where it is redirected to is its own affair. Event
loops are asked in the task that connects: the thread that looks a name up no longer knows whose it is.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from respool.cassette import guard
from respool.cassette.clients.patches import Method, replace

__tracebackhide__ = True  # a block is shown where the application made the request

_URL = "respool_url"  # on a handle of libcurl: what it will ask for
_URL_OPTION = 10002  # CURLOPT_URL, of libcurl's own numbering


def patch(module: ModuleType) -> None:
    """Let the client `module` ask the guard. Raises AttributeError for one that is not shaped as we know it."""
    _PATCHES[module.__name__](module)


def _asyncio(base_events: Any) -> None:
    replace(base_events.BaseEventLoop, "getaddrinfo", _looking_up)


def _uvloop(uvloop: Any) -> None:
    replace(uvloop.Loop, "getaddrinfo", _looking_up)
    replace(uvloop.Loop, "create_connection", _connecting)
    replace(uvloop.Loop, "create_datagram_endpoint", _sending)


def _looking_up(original: Method) -> Method:
    async def getaddrinfo(loop: Any, host: Any, *arguments: Any, **options: Any) -> Any:
        if host:
            guard.check(host.decode("ascii", "replace") if isinstance(host, bytes) else host)
        return await original(loop, host, *arguments, **options)

    return getaddrinfo


def _connecting(original: Method) -> Method:
    async def create_connection(loop: Any, factory: Any, host: Any = None, *arguments: Any, **options: Any) -> Any:
        if host:
            guard.connecting(host)
        return await original(loop, factory, host, *arguments, **options)

    return create_connection


def _sending(original: Method) -> Method:
    async def create_datagram_endpoint(
        loop: Any, factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any,
    ) -> Any:  # fmt: skip
        if isinstance(remote_addr, tuple):
            guard.connecting(remote_addr[0])
        return await original(loop, factory, local_addr, remote_addr, **options)

    return create_datagram_endpoint


def _curl_cffi(curl: Any) -> None:
    def setopt(original: Method) -> Method:
        def setopt(handle: Any, option: int, value: Any) -> Any:
            if option == _URL_OPTION:
                setattr(handle, _URL, value)
            return original(handle, option, value)

        return setopt

    def perform(original: Method) -> Method:
        def perform(handle: Any, *arguments: Any, **options: Any) -> Any:
            _requesting(handle, "curl_cffi")
            return original(handle, *arguments, **options)

        return perform

    replace(curl.Curl, "setopt", setopt)
    replace(curl.Curl, "perform", perform)


def _curl_cffi_async(aio: Any) -> None:
    replace(aio.AsyncCurl, "add_handle", _adding("curl_cffi"))


def _adding(client: str) -> Callable[[Method], Method]:
    def adding(original: Method) -> Method:
        def add_handle(multi: Any, handle: Any) -> Any:
            _requesting(handle, client)
            return original(multi, handle)

        return add_handle

    return adding


def _pycurl(pycurl: Any) -> None:
    """Its classes cannot be changed: the module gets subclasses. Who took the names before keeps the others."""

    def with_url(original: Any) -> Any:
        class Curl(original):  # type: ignore[misc]
            def setopt(self, option: int, value: Any) -> Any:
                if option == _URL_OPTION:
                    setattr(self, _URL, value)
                return super().setopt(option, value)

            def setopt_string(self, option: int, value: str) -> Any:
                if option == _URL_OPTION:
                    setattr(self, _URL, value)
                return super().setopt_string(option, value)

            def perform(self) -> Any:
                _requesting(self, "pycurl")
                return super().perform()

            def perform_rb(self) -> Any:
                _requesting(self, "pycurl")
                return super().perform_rb()

            def perform_rs(self) -> Any:
                _requesting(self, "pycurl")
                return super().perform_rs()

        return Curl

    def with_handles(original: Any) -> Any:
        class CurlMulti(original):  # type: ignore[misc]
            def add_handle(self, handle: Any) -> Any:
                _requesting(handle, "pycurl")
                return super().add_handle(handle)

        return CurlMulti

    replace(pycurl, "Curl", with_url)
    replace(pycurl, "CurlMulti", with_handles)
    if hasattr(pycurl, "AsyncCurlMulti"):
        replace(pycurl.AsyncCurlMulti, "add_handle", _adding("pycurl"))


def _requesting(handle: Any, client: str) -> None:
    url = getattr(handle, _URL, "")
    text = url.decode("utf-8", "replace") if isinstance(url, bytes) else url
    host = urlsplit(text if "://" in text else f"//{text}").hostname
    if host:
        guard.requesting(host, client)


_PATCHES = {
    "asyncio.base_events": _asyncio, "curl_cffi.aio": _curl_cffi_async, "curl_cffi.curl": _curl_cffi, "pycurl": _pycurl,
    "uvloop": _uvloop,
}  # fmt: skip
