"""urllib3, and requests on it, as the contract sees them."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import requests.adapters
import urllib3
from contract import Call, Plan, Seen
from drivers_httpx import pieces_of
from urllib3.exceptions import InsecureRequestWarning

NO_SESSION = "urllib3 has no session: no cookies, authentication, base URL or hooks"
HALF_ANSWER = "a tape holds no half answers: what broke in the middle is raised at the start, as another class of requests"
WITHOUT_ZSTD = {"zstd": "urllib3 1.26 knows no zstd"} if urllib3.__version__.startswith("1.") else {}
OF_THE_FORK = {"cut body": HALF_ANSWER} if hasattr(urllib3, "ResponsePromise") else {}  # urllib3-future as urllib3


class Uploading:
    """What both make of a call's body; afterwards it is told what is left of a stream."""

    stream: Any = None

    def opened(self, call: Call) -> Any:
        self.stream = None
        if call.upload in ("file", "multipart"):
            self.stream = io.BytesIO(call.body)
        elif call.upload == "generator":
            self.stream = pieces_of(call.body)
        return self.stream

    def left(self) -> bytes | None:
        if self.stream is None:
            return None
        return self.stream.read() if hasattr(self.stream, "read") else b"".join(self.stream)


class RequestsDriver(Uploading):
    """requests, with a session."""

    name = "requests"

    def __init__(self) -> None:
        self.not_applicable = {"base url": "a session of requests knows no base URL", "cut body": HALF_ANSWER, **WITHOUT_ZSTD}

    def run(self, root: str, plan: Plan) -> list[Seen]:
        with requests.Session() as session, warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)  # comes with a connection that nobody verified
            session.trust_env = False
            session.verify = plan.trust
            session.cookies.update(dict(plan.cookies))
            session.auth = plan.auth
            if plan.proxy:
                session.proxies = {"http": plan.proxy, "https": plan.proxy}
            self.through = 0
            session.mount("http://", self.adapter(plan))
            session.mount("https://", self.adapter(plan))
            return [self.call(session, root, plan, call) for call in plan.calls]

    def adapter(self, plan: Plan) -> requests.adapters.HTTPAdapter:
        driver = self
        retries = urllib3.Retry(plan.retries, status_forcelist=[503], backoff_factor=0.001)

        class Counting(requests.adapters.HTTPAdapter):
            def send(self, *given: Any, **options: Any) -> requests.Response:
                driver.through += 1
                return super().send(*given, **options)

        made = Counting if plan.custom else requests.adapters.HTTPAdapter
        return made(max_retries=retries if plan.retries else 0)

    def upload(self, call: Call) -> dict[str, Any]:
        stream = self.opened(call)
        if call.upload == "multipart":
            return {"files": {"file": ("name.bin", stream)}, "data": {"field": "value"}}
        if call.upload == "form":
            return {"data": dict(parse_qsl(call.body.decode()))}
        if call.upload == "json":
            return {"json": json.loads(call.body)}
        return {"data": call.body if stream is None else stream} if call.upload else {}

    def call(self, session: requests.Session, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        hooked: list[tuple[int, str]] = []
        given = {"timeout": call.timeout, "headers": dict(call.headers), "allow_redirects": call.follow, **self.upload(call)}
        if plan.hooks:
            given["hooks"] = {"response": lambda answer, **_: hooked.append((answer.status_code, answer.url))}
        try:
            with session.request(call.method, root + call.path, stream=call.read != "all", **given) as answer:
                if call.read == "stream":
                    told["pieces"] = list(answer.iter_content(None))
                elif call.read == "raw":
                    told["raw"] = answer.raw.read(decode_content=False)
                elif call.read == "lines":
                    told["lines"] = list(answer.iter_lines())
                elif call.read == "part":
                    told["part"] = answer.raw.read(10)
                told["body"] = answer.content if call.read == "all" else b"".join(told.get("pieces", ()))
                told["read"] = answer._content_consumed
        except requests.RequestException as error:
            return self.failed(error)
        return told | self.seen(session, answer) | {"hooks": hooked, "through": self.through}

    def failed(self, error: requests.RequestException) -> Seen:
        cause = error.args[0]
        reason = getattr(cause, "reason", None)
        path = error.request.path_url if error.request is not None else None
        return {"error": type(error), "cause": type(cause), "reason": type(reason), "path": path}

    def seen(self, session: requests.Session, answer: requests.Response) -> Seen:
        raw = answer.raw
        return {
            "status": answer.status_code,
            "reason": answer.reason,
            "version": raw.version,
            "headers": list(raw.headers.items()),
            "merged headers": [(n, v) for n, v in answer.headers.items() if n != "Content-Length"],
            "original headers": [(n, v) for n, v in raw._original_response.msg.items() if n != "Content-Length"],
            "url": answer.url,
            "history": [(each.status_code, sorted(each.headers.items()), each.content) for each in answer.history],
            "cookies": sorted((each.name, each.value, each.domain, each.path) for each in session.cookies),
            "answer cookies": sorted(answer.cookies.items()),
            "next": answer.next and answer.next.url,
            "elapsed": type(answer.elapsed),
            "closed": (raw.closed, raw.isclosed(), raw._original_response.isclosed(), raw._connection),
            "encoding": (answer.encoding, answer.apparent_encoding if answer._content else None),
            "sent": sorted(answer.request.headers),
            "left": self.left(),
            "tries": len(raw.retries.history) + 1 if raw.retries is not None else 1,
            "retries left": raw.retries.total if raw.retries is not None else None,
        }


class Urllib3Driver(Uploading):
    """urllib3, with a pool manager."""

    name = "urllib3"

    def __init__(self) -> None:
        without = ("cookies", "session cookies", "base url", "basic auth", "hooks", "custom transport")
        self.not_applicable = dict.fromkeys(without, NO_SESSION) | WITHOUT_ZSTD | OF_THE_FORK

    def run(self, root: str, plan: Plan) -> list[Seen]:
        settings: dict[str, Any] = {}
        if isinstance(plan.trust, str):
            settings["ca_certs"] = plan.trust
        elif plan.trust is False:
            settings["cert_reqs"] = "CERT_NONE"
        if plan.retries:
            settings["retries"] = urllib3.Retry(plan.retries, status_forcelist=[503], backoff_factor=0.001)
        pools = urllib3.ProxyManager(plan.proxy, **settings) if plan.proxy else urllib3.PoolManager(**settings)
        with pools, warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)  # comes with a connection that nobody verified
            return [self.call(pools, root, plan, call) for call in plan.calls]

    def upload(self, call: Call) -> dict[str, Any]:
        stream = self.opened(call)
        if call.upload == "multipart":
            return {"fields": {"field": "value", "file": ("name.bin", call.body)}}
        if call.upload == "form":
            return {"fields": dict(parse_qsl(call.body.decode())), "encode_multipart": False}
        if call.upload == "json":
            return {"body": call.body, "headers": {"Content-Type": "application/json"}}
        return {"body": call.body if stream is None else stream} if call.upload else {}

    def call(self, pools: urllib3.PoolManager, root: str, plan: Plan, call: Call) -> Seen:
        told: Seen = {}
        given: dict[str, Any] = {"headers": dict(call.headers), **self.upload(call)}
        if not plan.retries:
            given["retries"] = urllib3.Retry(5, connect=0, read=0, other=0)
        try:
            answer = pools.request(
                call.method, root + call.path, preload_content=call.read == "all", timeout=call.timeout,
                redirect=call.follow, **given,
            )  # fmt: skip
            if call.read == "stream":
                told["pieces"] = list(answer.stream(None if "sse" in call.path else 65536))
            elif call.read == "raw":
                told["raw"] = answer.read(decode_content=False)
            elif call.read == "lines":
                told["lines"] = io.BufferedReader(answer).read().splitlines()
            elif call.read == "part":
                told["part"] = answer.read(10)
            told["body"] = b"".join(told.get("pieces", ())) if call.read != "all" else answer.data
            if call.read == "close":
                answer.close()
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return {"error": type(error), "reason": type(getattr(error, "reason", None))}
        return told | self.seen(answer)

    def seen(self, answer: Any) -> Seen:
        return {
            "status": answer.status,
            "reason": answer.reason,
            "version": answer.version,
            "version text": getattr(answer, "version_string", None),
            "headers": list(answer.headers.items()),
            "original headers": [(n, v) for n, v in answer._original_response.msg.items() if n != "Content-Length"],
            "path": urlsplit(answer.geturl() or "").path,
            "closed": (answer.closed, answer.isclosed(), answer._original_response.isclosed(), answer._connection),
            "left": self.left(),
            "tries": len(answer.retries.history) + 1,
            "history": [(each.method, each.url, each.status, each.redirect_location) for each in answer.retries.history],
            "retries left": answer.retries.total,
        }


DRIVERS = [RequestsDriver(), Urllib3Driver()]
