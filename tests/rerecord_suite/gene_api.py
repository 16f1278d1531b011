"""A real HTTP API over real data, as a program: it needs a key, throttles, fails now and then, and logs every arrival.

    python gene_api.py PORT LOG            (0: a free port; the port that it listens on is printed)

    GET  /genes/BRCA1?…                    symbol, aliases, partners with their scores
    POST /genes                            the same for a list of symbols
    GET  /wait?seconds=0.5                 the same after a while
    GET  /leak, /denied, /broken           an answer with somebody's packed key; 403; 500
    POST /_control                         {"key", "limit", "period", "fail_every", "latency", "generation"}: change them

Of every `fail_every` requests one fails: 500, 503, 429 and no answer at all take turns. What is above `limit` in a sliding
`period` of seconds is answered with 429 and Retry-After. The log has one JSON line for every arrival.
"""

# ruff: noqa: T201 - a program of its own
from __future__ import annotations

import base64
import gzip
import json
import math
import sys
import threading
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

DATA = Path(__file__).parent / "data"
FAULTS = (500, 503, 429, 0)  # 0: the client waits in vain
HANGS = 12.0  # seconds; the clients give up before
LEAKED = "AKIA" + "QYLPMN5HGTR3WXYZ"  # the shape of a cloud key, put together so that no scan of this file finds it


@dataclass
class Controls:
    """What may be changed while the server runs."""

    key: str = "right-key-of-the-gene-api"
    limit: int = 10_000
    period: float = 1.0
    fail_every: int = 0
    latency: float = 0.0
    generation: int = 1


@dataclass
class Verdicts:
    """Decides, one arrival at a time, how it is answered."""

    log: IO[str]
    controls: Controls = field(default_factory=Controls)
    lock: threading.Lock = field(default_factory=threading.Lock)
    window: deque[float] = field(default_factory=deque)
    closed_until: float = 0.0
    served: int = 0
    faults: int = 0

    def of(self, method: str, path: str, key: str | None) -> tuple[int, float]:
        """(status, seconds of Retry-After)."""
        with self.lock:
            now = time.monotonic()
            status, wait = self._status(now, path, key)
            line = {"at": now, "method": method, "path": path, "status": status, "wait": wait}
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()
            return status, wait

    def _status(self, now: float, path: str, key: str | None) -> tuple[int, float]:
        controls = self.controls
        if key != controls.key:
            return 401, 0.0
        if path.startswith("/denied"):
            return 403, 0.0
        if path.startswith("/broken"):
            return 500, 0.0
        if now < self.closed_until:
            return 429, math.ceil(self.closed_until - now)
        while self.window and self.window[0] <= now - controls.period:
            self.window.popleft()
        if len(self.window) >= controls.limit:
            return 429, math.ceil(self.window[0] + controls.period - now)
        self.window.append(now)
        self.served += 1
        if controls.fail_every and self.served % controls.fail_every == 0:
            self.faults += 1
            fault = FAULTS[self.faults % len(FAULTS)]
            if fault == 429:
                self.closed_until = now + 1.0
            return fault, 1.0 if fault in (429, 503) else 0.0
        return 200, 0.0


@dataclass
class Genes:
    """The tables that are served."""

    aliases: dict[str, list[str]] = field(default_factory=dict)
    partners: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for line in (DATA / "symbols.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            symbol, *others = ([*line.split("\t"), "", ""])[:3]
            self.aliases[symbol] = [name for other in others for name in other.split(", ") if name]
        for line in (DATA / "edges.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            one, other, experiments, database, score = line.split("\t")
            scores = {"experiments": int(experiments), "database": int(database), "score": int(score)}
            self.partners[one].append({"symbol": other, **scores})
            self.partners[other].append({"symbol": one, **scores})

    def told(self, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "aliases": self.aliases.get(symbol, []), "partners": self.partners.get(symbol, [])[:8]}


class Api(ThreadingHTTPServer):
    """The server; one thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: IO[str]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.verdicts = Verdicts(log)
        self.genes = Genes()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, so that none waits for the other
    server: Api

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        controls = self.server.verdicts.controls
        if url.path == "/_control":
            for name, value in json.loads(body).items():
                setattr(controls, name, value)
            return self._answer(200, {})
        status, wait = self.server.verdicts.of(self.command, self.path, self.headers.get("X-Api-Key"))
        if status == 0:
            time.sleep(HANGS)
            self.close_connection = True
            return None
        asked = parse_qs(url.query).get("seconds", ["0"])[0]
        time.sleep(controls.latency + float(asked))
        if status != 200:
            return self._answer(status, {"error": status}, wait)
        return self._answer(200, self._served(url.path, body))

    do_POST = do_GET  # noqa: N815

    def _served(self, path: str, body: bytes) -> dict[str, Any]:
        genes, generation = self.server.genes, self.server.verdicts.controls.generation
        served: dict[str, Any] = {
            "generation": generation, "generated_at": datetime.now(UTC).isoformat(), "request_id": str(uuid.uuid4()),
        }  # fmt: skip
        if path == "/leak":
            packed = gzip.compress(f"remember {LEAKED}".encode())  # the redaction does not look there, the leak check does
            return served | {"note": base64.b64encode(packed).decode()}
        if body:
            return served | {"genes": [genes.told(symbol) for symbol in json.loads(body)["symbols"]]}
        return served | genes.told(path.rpartition("/")[2])

    def _answer(self, status: int, content: dict[str, Any], wait: float = 0.0) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if wait:
            self.send_header("Retry-After", str(int(wait)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until the process is ended."""
    with open(sys.argv[2], "a", encoding="utf-8") as log, Api(int(sys.argv[1]), log) as api:
        print(api.server_address[1], flush=True)
        api.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
