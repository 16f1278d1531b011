"""urllib3, 1.26 and 2, and whoever sits on it: requests, botocore.

The hook is the pool's `_make_request`: below retries and redirects, so that counts, back-off and history are urllib3's
own. A tunnel through a proxy, which urllib3 opens before, is postponed until a request really leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from inspect import signature
from types import ModuleType
from typing import Any, NamedTuple

from respool.cassette.clients.driving import Tee, drive
from respool.cassette.clients.http_response import PlayedResponse, head_of, read_along
from respool.cassette.clients.layers import open_deck, recorded_above
from respool.cassette.clients.patches import Method, replace
from respool.cassette.clients.pool_call import TUNNEL, PoolCall, headers_made_by, postponed
from respool.cassette.model import Failure, Headers, Response

__tracebackhide__ = True  # a miss is shown where the application made the request



def patch(module: ModuleType) -> None:
    """Hook the pools of `module`, which is urllib3.connectionpool, perhaps of the fork that installs itself as urllib3."""
    if hasattr(module, "ResponsePromise"):
        from respool.cassette.clients import urllib3_future  # few have it

        urllib3_future.patch(module)
        return
    package = module.__name__.rpartition(".")[0]
    errors, answers = sys.modules[f"{package}.exceptions"], sys.modules[f"{package}.response"]
    version_2 = hasattr(answers, "BaseHTTPResponse")
    told = "version_string" in signature(answers.HTTPResponse.__init__).parameters
    # Not the answer's own version: urllib3 tells the one that its connections speak.
    version_text = {"version_string": "HTTP/1.1"} if told else {}
    client = _Client(errors, answers.HTTPResponse, headers_made_by(answers.HTTPHeaderDict), version_text, version_2)

    def make_request(original: Method) -> Method:
        def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
            deck = open_deck()
            if deck is None:
                return original(pool, conn, method, url, **options)
            call = _Call(client, original, pool, conn, method, url, options)
            return call.preloaded(drive(deck, call))

        return _make_request

    replace(module.HTTPConnectionPool, "_make_request", make_request)
    replace(module.HTTPSConnectionPool, "_prepare_proxy", postponed)


class _Client(NamedTuple):
    """What an installation of urllib3 consists of."""

    errors: Any  # the module
    response: Any  # its class
    headers: Callable[[Headers], Any]  # makes the headers of an answer
    version_text: dict[str, str]  # what is given to `response` if it takes it
    version_2: bool  # 1.26 wraps an answer of http.client by itself, above our hook


class _Call(PoolCall):
    """One request of urllib3's."""

    __slots__ = ()

    def send(self) -> Any:
        options = self._options
        if self._client.version_2:
            # Preloaded it would come with its body already decoded; `preloaded` makes up for it.
            options = {**options, "preload_content": False}
        self._sent = self._client.version_2
        with recorded_above():
            open_tunnel = vars(self._conn).pop(TUNNEL, None)
            if open_tunnel is not None:
                self._open(open_tunnel)
            return self._original(self._pool, self._conn, self._method, self._url, **options)

    def _open(self, open_tunnel: Method) -> None:
        try:
            open_tunnel(self._pool, self._conn)
        except OSError as error:
            self._pool._raise_timeout(err=error, url=self._pool.proxy.url, timeout_value=self._conn.timeout)
            raise

    def head(self, answer: Any) -> Response:
        original = answer if isinstance(answer, HTTPResponse) else getattr(answer, "_original_response", None)
        if original is not None:
            return head_of(original)
        return Response(answer.status, answer.reason or "", "HTTP/2", tuple(answer.headers.items()))

    def teed(self, answer: Any, tee: Tee) -> Any:
        original = answer if isinstance(answer, HTTPResponse) else getattr(answer, "_original_response", None)
        if original is not None:
            read_along(original, tee)
        if original is None:  # HTTP/2, an experiment of urllib3's that reads everything at once
            tee.feed(answer.data)
            tee.end()
        return answer

    def dropped(self, answer: Any) -> None:
        # Read, not closed: the same connection is asked again.
        with suppress(OSError, HTTPException, self._client.errors.HTTPError):
            answer.read()

    def preloaded(self, answer: Any) -> Any:
        """The answer with its body read, if that is what urllib3 would have done: its connection goes back to the pool."""
        if self._sent and self._options.get("preload_content", True) and isinstance(answer, self._client.response):
            answer.read(cache_content=True)
        return answer

    def replayed(self, response: Response | Failure) -> Any:
        self._pool.num_requests += 1
        if isinstance(response, Failure):
            raise self._error(response)
        answer = PlayedResponse(response, self._method)
        if not self._client.version_2:
            return answer
        client, given = self._client, self._options
        made = client.response(
            answer, client.headers(answer.pairs), answer.status, answer.version,
            reason=answer.reason, preload_content=given.get("preload_content", True),
            decode_content=given.get("decode_content", True), original_response=answer,
            enforce_content_length=given.get("enforce_content_length", True), request_method=self._method,
            request_url=self._url, **client.version_text,
        )  # fmt: skip
        made.retries = given.get("retries")
        made._connection = given.get("response_conn")
        made._pool = self._pool
        return made
