"""A small server that speaks OpenAI's wire format and writes summaries from the evidence alone. It is no language model.

    python examples/extractive_provider.py --port 8123 [--faults "2:429,4:truncated,6:malformed,8:ungrounded"]

It picks the best terms (or features) out of the question and says what stands there; every text of it says so. For tests,
the demo, and for a first look without a key. `--faults` makes the so-maniest answer go wrong, to be seen being mended.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABEL = "Written from the evidence by a program, not by a language model."
TERM = re.compile(
    r"^\[(?P<id>[^\]]+)\] (?P<name>.+?); q = (?P<q>\S+?)(?:, fold (?P<fold>\S+?))?; (?P<overlap>\d+) genes"
    r"(?: of the set's (?P<size>\d+))?: (?P<genes>.*?)(?: \(and \d+ more\))?$",
    re.MULTILINE,
)
FEATURE = re.compile(
    r"^\[(?P<id>.+)\] (?P<direction>over|under)-represented: (?P<told>.*); v-test (?P<v>\S+)$", re.MULTILINE
)
FAULTS = ("429", "503", "too_long", "truncated", "malformed", "ungrounded", "refused", "disconnect")


def functional(evidence: str) -> dict[str, Any]:
    """The summary of a gene cluster: its best three terms."""
    terms = [found for found in TERM.finditer(evidence) if "NOT SIGNIFICANT" not in found[0]][:3]
    themes = [
        {
            "name": term["name"],
            "statement": f"{term['overlap']} genes of the cluster belong to {term['name']} (q = {term['q']}).",
            "term_ids": [term["id"]], "genes": [gene for gene in term["genes"].split(", ") if gene],
        }
        for term in terms
    ]  # fmt: skip
    title = terms[0]["name"] if terms else "No common function is shown"
    told = f"The best term is {title}, q = {terms[0]['q']}." if terms else "The evidence shows no significant term."
    return _summary(title, told, themes, [term["name"] for term in terms])


def phenotype(evidence: str) -> dict[str, Any]:
    """The summary of a cluster of entities: its most telling features, one theme for each direction."""
    features = list(FEATURE.finditer(evidence))[:8]
    themes = []
    for direction, name in (("over", "More often than in the table"), ("under", "Less often than in the table")):
        cited = [feature for feature in features if feature["direction"] == direction]
        if cited:
            told = "; ".join(f"{feature['id']} ({feature['told']})" for feature in cited)
            themes.append({
                "name": name, "statement": f"These are {direction}-represented: {told}.",
                "features": [{"id": feature["id"], "direction": direction} for feature in cited],
            })  # fmt: skip
    title = features[0]["id"] if features else "No feature tells this cluster from the table"
    return _summary(title, f"The most telling feature is {title}." if features else f"{title}.", themes, [])


def _summary(title: str, told: str, themes: list[dict[str, Any]], tags: list[str]) -> dict[str, Any]:
    return {
        "title": title, "summary": f"{told} {LABEL}", "coherence": "coherent" if themes else "unrelated", "themes": themes,
        "not_explained": [], "tags": ["extractive", *tags], "confidence": "medium" if themes else "none",
        "confidence_reason": LABEL,
    }  # fmt: skip


def judgement(question: str) -> dict[str, Any]:
    """Verdicts: a claim is supported if the words that it quotes stand in the evidence."""
    evidence = question.partition("<claims>")[0].lower()
    claims = re.findall(r"^(\d+)\. (.*)$", question.partition("<claims>")[2], re.MULTILINE)
    return {"verdicts": [
        {
            "claim": int(number), "reason": LABEL,
            "verdict": "supported" if claim.partition(":")[0].strip().lower() in evidence
            or claim.startswith(("More often", "Less often", "No ")) else "unsupported",
        }
        for number, claim in claims
    ]}  # fmt: skip


def ungrounded(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with a gene (or a feature) that nobody showed: what small models do."""
    for theme in summary["themes"][:1]:
        if "genes" in theme:
            theme["genes"] = [*theme["genes"], "BRCA3"]
        else:
            theme["features"] = [*theme["features"], {"id": "HP:9999999=1", "direction": "over"}]
    return summary


def answer(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said to a conversation: the evidence of its first question decides."""
    system = " ".join(str(one["content"]) for one in messages if one["role"] == "system")
    question = next(str(one["content"]) for one in messages if one["role"] == "user")
    if "<claims>" in question:
        return judgement(question)
    return phenotype(question) if "over-represented or under-represented" in system else functional(question)


class Handler(BaseHTTPRequestHandler):
    """One request; the server holds the faults and the number of requests so far."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number, fault = self.server.next_fault()
        if fault == "disconnect":
            self.close_connection = True
            self.connection.shutdown(2)
            return
        if fault in ("429", "503"):
            told = "too many requests" if fault == "429" else "overloaded"
            error = {"error": {"message": told, "type": "rate_limit" if fault == "429" else "server_error", "code": fault}}
            self._send(int(fault), error, {"Retry-After": "1"} if fault == "429" else {})
            return
        if fault == "too_long":  # as llama.cpp says it
            told = "request (9012 tokens) exceeds the available context size (8192 tokens), try increasing it"
            self._send(400, {"error": {"message": told, "type": "exceed_context_size_error", "code": 400}})
            return
        said = answer(body["messages"])
        text = json.dumps(ungrounded(said) if fault == "ungrounded" else said, ensure_ascii=False)
        finish, refusal = "stop", None
        if fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
        elif fault == "malformed":
            text = text.replace('":', '" =>', 3)
        elif fault == "refused":
            text, refusal = "", "I cannot help with that."
        time.sleep(self.server.latency)
        self.server.asked.append(next(str(one["content"]) for one in body["messages"] if one["role"] == "user"))
        sent = sum(len(str(one["content"])) for one in body["messages"]) // 4
        self._send(200, {
            "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_700_000_000, "model": body["model"],
            "choices": [{
                "index": 0, "finish_reason": finish,
                "message": {"role": "assistant", "content": text or None, "refusal": refusal},
            }],
            "usage": {"prompt_tokens": sent, "completion_tokens": len(text) // 4, "total_tokens": sent + len(text) // 4},
        })  # fmt: skip

    def _send(self, status: int, data: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """The provider, listening on this machine only. `requests` counts what was asked, `asked` holds the questions that were
    answered (the text of their first turn); each answer takes `latency` seconds."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0, faults: dict[int, str] | None = None, latency: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.faults, self.requests, self.latency, self.asked = faults or {}, 0, latency, list[str]()
        self._guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_fault(self) -> tuple[int, str | None]:
        with self._guard:
            self.requests += 1
            return self.requests, self.faults.get(self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def parse_faults(text: str) -> dict[int, str]:
    """ "2:429,4:truncated" as a dictionary."""
    pairs = [part.partition(":") for part in text.split(",") if part]
    unknown = [fault for _, _, fault in pairs if fault not in FAULTS]
    if unknown:
        raise SystemExit(f"no fault {unknown[0]!r}; there are {', '.join(FAULTS)}")
    return {int(number): fault for number, _, fault in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers as an OpenAI-compatible service, from the evidence alone.")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for each answer")
    parser.add_argument("--faults", default="", help='such as "2:429,4:truncated"')
    given = parser.parse_args()
    with Server(given.port, parse_faults(given.faults), given.latency) as server:
        sys.stdout.write(f"listening at {server.url}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
