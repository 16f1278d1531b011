"""http.client, and urllib.request on it, as the contract sees them."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from contract import Call, Plan, Seen
from drivers_urllib3 import HALF_ANSWER, Uploading

NO_SESSION = "http.client has connections, and nothing above them"
NO_DECODING = "http.client leaves a body as it came"
NO_CODINGS = dict.fromkeys(("gzip", "deflate", "brotli", "zstd", "two codings", "gzip in chunks", "streamed"), NO_DECODING)
NO_HOOKS = "it has no hooks"
NO_RETRIES = "it retries nothing"
NO_MULTIPART = "it builds no multipart body"


def context_of(plan: Plan) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=plan.trust if isinstance(plan.trust, str) else None)
    if plan.trust is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def body_of(answer: Any, call: Call) -> dict[str, Any]:
    if call.read == "close":
        answer.close()
        return {"body": b""}
    if call.read == "stream":
        pieces = []
        while piece := answer.read1():
            pieces.append(piece)
        return {"body": b"".join(pieces), "pieces": pieces}
    if call.read == "lines":
        lines = list(answer)
        return {"lines": lines, "body": b"".join(lines)}
    if call.read == "part":
        return {"part": answer.read(10), "body": b""}
    return {"body": answer.read()}


class HttpClientDriver(Uploading):
    """Connections, one to each call's server, kept alive."""

    name = "http.client"
    not_applicable: Mapping[str, str] = {
        **dict.fromkeys(
            ("cookies", "session cookies", "redirects with history", "redirects not followed", "base url", "basic auth",
             "streamed lines", "form", "json upload", "custom transport"), NO_SESSION,
        ),
        **NO_CODINGS, "hooks": NO_HOOKS, "the client's own retries": NO_RETRIES, "multipart": NO_MULTIPART,
        "cut body": HALF_ANSWER, "closed unread": "a connection whose answer was left unread is of no further use",
    }  # fmt: skip

    def run(self, root: str, plan: Plan) -> list[Seen]:
        target = urlsplit(root)
        server = urlsplit(plan.proxy) if plan.proxy else target
        secure = target.scheme == "https"
        made: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        options = {"context": context_of(plan)} if secure else {}
        connection = made(server.hostname, server.port, timeout=20, **options)
        if plan.proxy and secure:
            connection.set_tunnel(target.hostname, target.port)
        try:
            return [self.call(connection, root if plan.proxy and not secure else "", call) for call in plan.calls]
        finally:
            connection.close()

    def call(self, connection: Any, prefix: str, call: Call) -> Seen:
        connection.timeout = call.timeout
        stream = self.opened(call)
        headers = dict(call.headers)
        try:
            connection.request(call.method, prefix + call.path, call.body or None if stream is None else stream, headers)
            answer = connection.getresponse()
            told = body_of(answer, call)
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            return {"error": type(error), "message": str(error)}
        return told | {
            "status": answer.status, "reason": answer.reason, "version": answer.version, "headers": answer.getheaders(),
            "closed": answer.isclosed(), "left": self.left(),
        }  # fmt: skip


class UrllibDriver(Uploading):
    """An opener with cookies."""

    name = "urllib"
    not_applicable: Mapping[str, str] = {
        **NO_CODINGS, "streamed lines": NO_DECODING, "hooks": NO_HOOKS, "the client's own retries": NO_RETRIES,
        "multipart": NO_MULTIPART, "cut body": HALF_ANSWER, "base url": "an opener knows no base URL",
        "generator upload": "it needs a length",
        "redirects not followed": "an opener follows them", "custom transport": "handlers are its own way of the same",
        "session cookies": "a jar takes cookies from answers only", "cookies": "its jar keeps none for an IP address",
        "basic auth": "it answers a 401, and the server sends none", "proxy with a tunnel": "it is http.client's own",
    }  # fmt: skip

    def run(self, root: str, plan: Plan) -> list[Seen]:
        handlers: list[Any] = [urllib.request.ProxyHandler({"http": plan.proxy} if plan.proxy else {})]
        handlers.append(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        handlers.append(urllib.request.HTTPSHandler(context=context_of(plan)))
        opener = urllib.request.build_opener(*handlers)
        return [self.call(opener, root, call) for call in plan.calls]

    def call(self, opener: Any, root: str, call: Call) -> Seen:
        stream = self.opened(call)
        headers = dict(call.headers)
        if call.upload == "json":
            headers["Content-Type"] = "application/json"
        if stream is not None:
            headers["Content-Length"] = str(len(call.body))
        data = stream if stream is not None else call.body or None
        if call.upload == "json":
            data = json.dumps(json.loads(call.body)).encode()
        request = urllib.request.Request(root + call.path, data, headers, method=call.method)
        try:
            with opener.open(request, timeout=call.timeout) as answer:
                told = body_of(answer, call)
        except urllib.error.HTTPError as answer:
            with answer:
                told = body_of(answer, call)
            return told | self.seen(answer)
        except (http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None)
            return {"error": type(error), "message": str(error), "reason": type(reason)}
        return told | self.seen(answer)

    def seen(self, answer: Any) -> Seen:
        return {
            "status": answer.status, "reason": answer.reason, "headers": answer.headers.items(), "url": answer.url,
            "left": self.left(),
        }  # fmt: skip


DRIVERS = [HttpClientDriver(), UrllibDriver()]
