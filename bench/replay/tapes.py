"""The entries as a file, in the format of each player that reads one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench.replay.entries import REQUEST_HEADERS, Entry, entry

SUFFIXES = {"respool": ".json", "vcrpy": ".yaml", "cassetter": ".yaml", "betamax": ".json", "plain": ".json"}


def written(format_: str, count: int, folder: Path) -> Path:
    """A cassette of `count` entries in `folder`, written unless it is there."""
    path = folder / f"{format_}-{count}{SUFFIXES[format_]}"
    if not path.exists():
        _WRITERS[format_](path, [entry(number) for number in range(count)])
    return path


def _respool(path: Path, entries: list[Entry]) -> None:
    from respool.cassette import format as own
    from respool.cassette.model import Cassette, Interaction, Request, Response

    sent = tuple(REQUEST_HEADERS.items())
    made = [
        Interaction(Request("GET", each.url, sent), Response(200, "OK", headers=each.headers, body=each.body), at=1)
        for each in entries
    ]
    path.write_bytes(own.write(Cassette(tuple(made), at=1, writer="bench")).data)


def _vcrpy(path: Path, entries: list[Entry]) -> None:
    import yaml

    made = [
        {
            "request": {
                "body": None, "headers": {k: [v] for k, v in REQUEST_HEADERS.items()}, "method": "GET", "uri": each.url,
            },
            "response": {
                "body": {"string": each.body.decode()}, "headers": {name: [value] for name, value in each.headers},
                "status": {"code": 200, "message": "OK"},
            },
        }
        for each in entries
    ]  # fmt: skip
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump({"interactions": made, "version": 1}, Dumper=dumper), encoding="utf-8")


def _cassetter(path: Path, entries: list[Entry]) -> None:
    from cassetter import Body, HttpInteraction, HttpRequest, HttpResponse
    from cassetter._core import Cassette

    tape = Cassette()
    for each in entries:
        sent = HttpRequest("GET", each.url, {name: [value] for name, value in REQUEST_HEADERS.items()}, Body("none"))
        answer = HttpResponse(200, {name: [value] for name, value in each.headers}, Body("json", json.loads(each.body)))
        tape.add_interaction(HttpInteraction(sent, answer, "2026-11-21T08:00:00Z"))
    tape.save(str(path))


def _betamax(path: Path, entries: list[Entry]) -> None:
    made = [
        {
            "request": {
                "body": {"encoding": "utf-8", "string": ""}, "headers": {k: [v] for k, v in REQUEST_HEADERS.items()},
                "method": "GET", "uri": each.url,
            },
            "response": {
                "body": {"encoding": "utf-8", "string": each.body.decode()},
                "headers": {name: [value] for name, value in each.headers},
                "status": {"code": 200, "message": "OK"}, "url": each.url,
            },
            "recorded_at": "2026-11-21T08:00:00",
        }
        for each in entries
    ]  # fmt: skip
    path.write_text(json.dumps({"http_interactions": made, "recorded_with": "betamax"}), encoding="utf-8")


def _plain(path: Path, entries: list[Entry]) -> None:
    path.write_text(json.dumps([[each.url, each.headers, each.body.decode()] for each in entries]), encoding="utf-8")


def read_plain(path: Path) -> list[Entry]:
    """The entries of a file in the plain form, for players that are told each answer by hand."""
    return [
        Entry(url, tuple((name, value) for name, value in headers), body.encode())
        for url, headers, body in json.loads(path.read_text(encoding="utf-8"))
    ]


_WRITERS: dict[str, Callable[[Path, list[Entry]], None]] = {
    "respool": _respool, "vcrpy": _vcrpy, "cassetter": _cassetter, "betamax": _betamax, "plain": _plain,
}  # fmt: skip
