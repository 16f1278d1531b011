"""httpx and httpx2, blocking and asynchronous: one adapter, told which of the two it has before it.

The hooks are the two HTTP transports: below redirects, cookies, authentication and event hooks, which stay the client's
own. Their TLS contexts read no CA bundle before they connect.

Other transports: one that hands on to a hooked one (retries, caches) needs nothing; one that an application wrote stands
on something hooked, or on nothing (a stub); one that came with an installed package may go to the network by ways of
its own (curl), and is taken through the deck as a whole.
"""

from __future__ import annotations

import sys
from functools import cached_property
from types import ModuleType
from typing import Any

from respool.cassette.clients import layers
from respool.cassette.clients.layers import open_deck
from respool.cassette.clients.patches import Method, replace
from respool.cassette.clients.tls import put_off_within
from respool.cassette.clients.transports import Family, sent_texts, texts
from respool.cassette.deck import Deck
from respool.cassette.model import Request, Response

__tracebackhide__ = True  # a miss is shown where the application made the request


def patch(module: ModuleType) -> None:
    """Hook the transports of `module`, which is httpx or httpx2."""
    family = _Httpx(module, module.SyncByteStream, module.AsyncByteStream)
    family.hook(module.HTTPTransport, module.AsyncHTTPTransport)
    for client in (module.Client, module.AsyncClient):
        replace(client, "_transport_for_url", family.noticing_foreign)
    put_off_within(module.HTTPTransport)
    put_off_within(module.AsyncHTTPTransport)
    put_off_within(module, "create_ssl_context")


class _Httpx(Family):
    def deck(self) -> Deck | None:
        # Mocks of httpcore are asked first: what they let through comes to the hook of httpcore.
        return None if layers.mocks_below_httpx and self.module.__name__ == "httpx" else open_deck()

    def request(self, request: Any, body: bytes) -> Request:
        url = request.url
        address = str(url)
        if "#" in address or "@" in address:  # neither a fragment nor credentials are sent in a URL
            address = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
        return Request(request.method, address, sent_texts(tuple(request.headers.raw)), body)

    def head(self, answer: Any) -> Response:
        version = answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii")
        reason = answer.extensions.get("reason_phrase", b"").decode("latin-1")
        return Response(answer.status_code, reason, version, texts(answer.headers.raw))

    def answer(self, response: Response, headers: list[tuple[bytes, bytes]], stream: Any) -> Any:
        told = {"http_version": response.version.encode("ascii"), "reason_phrase": response.reason.encode("latin-1")}
        return self.module.Response(response.status, headers=headers, stream=stream, extensions=told)

    def error(self, type_: Any, message: str, request: Any) -> Exception:
        made: Exception = type_(message, request=request)
        return made

    def noticing_foreign(self, original: Method) -> Method:
        """A client's choice of a transport, with our decision in front of one that nobody else hooks."""

        def _transport_for_url(client: Any, url: Any) -> Any:
            transport = original(client, url)
            if type(transport) in self._own or open_deck() is None or not self._foreign(transport):
                return transport
            return _Through(self, transport)

        return _transport_for_url

    @cached_property
    def _own(self) -> tuple[type, ...]:
        module = self.module
        offline = (module.MockTransport, module.WSGITransport, module.ASGITransport)
        return (module.HTTPTransport, module.AsyncHTTPTransport, *offline)

    def _foreign(self, transport: Any) -> bool:
        origin = getattr(sys.modules.get(type(transport).__module__), "__file__", None) or ""
        installed = "site-packages" in origin or "dist-packages" in origin
        return installed and not self._hooked(transport)

    def _hooked(self, transport: Any) -> bool:
        """Whether it is a transport of the client's own, or holds one that it hands on to."""
        if isinstance(transport, self._own) or type(transport).__module__.startswith("httpcore"):
            return True
        bases = (self.module.BaseTransport, self.module.AsyncBaseTransport)
        return any(isinstance(held, bases) and self._hooked(held) for held in getattr(transport, "__dict__", {}).values())


class _Through:
    """Stands for a foreign transport for the time of one request."""

    def __init__(self, family: Family, transport: Any) -> None:
        self._transport = transport
        self._family = family

    def handle_request(self, request: Any) -> Any:
        return self._family.deciding(type(self._transport).handle_request)(self._transport, request)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._family.deciding_async(type(self._transport).handle_async_request)(self._transport, request)
