"""The replay bench as a whole: measured, held against its targets, written between markers of its own."""

# ruff: noqa: T201 - a program of its own, that talks to whoever started it
from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

from bench import machine
from bench.contest import ROOT
from bench.figures import Json, significant
from bench.replay import plugins, rounds
from bench.replay.players import ALL, PLAYERS
from bench.report import on, table, targets, write
from bench.respool_cli import row
from bench.rounds import progress

BEGIN, END = "<!-- bench: replay, generated, do not edit -->", "<!-- bench: replay, end -->"
PACKAGES = (
    "respool", "vcrpy", "pytest-recording", "cassetter", "betamax", "responses", "requests-mock", "respx", "aioresponses",
    "requests", "urllib3", "httpx", "httpx2", "aiohttp", "pytest", "PyYAML",
)  # fmt: skip
ABOVE_US, AIOHTTP_US, CLOSED_MS, LOADED_MS, TEST_MS, IMPORT_MS, FASTER = 12.0, 45.0, 0.1, 150.0, 0.15, 10.0, 5.0


def run(times: int, quick: bool, only: str, page: Path, results: Path) -> bool:
    """Measure, print, and (unless `quick`, or only a part) write; whether every target was met."""
    begin = time.perf_counter()
    part = only.removeprefix("replay").removeprefix("_")
    counts = rounds.COUNTS[:2] if quick else rounds.COUNTS
    found: Json = {"machine": machine.describe(ROOT, PACKAGES), "options": {"rounds": times, "workers": 1}}
    progress("the replay bench")
    if part != "plugins":
        found |= rounds.play(counts, times, part)
        found["summary"] = rounds.summary(found["runs"])
    if part in ("", "plugins"):
        found["plugins"] = plugins.measure(quick, times)
    found["targets"] = _targets(found)
    found["seconds"] = round(time.perf_counter() - begin)
    found["machine"]["load_after"] = machine.load()
    text = markdown(found)
    print(text)
    if not (quick or part):
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        write(page, text, BEGIN, END)
    return all(each["ok"] is not False for each in found["targets"])


def _targets(found: Json) -> list[Json]:
    cells = {(each["player"], each["client"], each["count"]): each for each in found.get("summary", ())}
    rows = [each for client in ALL for each in _of_client(client, cells)]
    one, many = cells.get(("respool", "urllib3", 1)), cells.get(("respool", "urllib3", 10_000))
    if one:
        closed = one["load_ms"] + one["close_ms"]
        rows.append(row("opening and closing a cassette of one interaction", "≤ 0.1 ms", closed, "ms", closed <= CLOSED_MS,
                        "around `with use_cassette(path)`"))  # fmt: skip
    if many:
        rows.append(row("loading 10,000 interactions", "≤ 150 ms", many["load_ms"], "ms", many["load_ms"] <= LOADED_MS,
                        f"another {many['first_us'] / 1000:.0f} ms at the first request, for the index"))  # fmt: skip
    return [*rows, *(_of_plugins(found["plugins"]) if "plugins" in found else [])]


def _of_client(client: str, cells: dict[tuple[str, str, int], Json]) -> list[Json]:
    rows = []
    ours = cells.get(("respool", client, 100))
    if ours and ours["above_us"] is not None:
        most = AIOHTTP_US if client == "aiohttp" else ABOVE_US
        how = f"{ours['us']:.0f} µs in all, 100 interactions; median of the distances within a round"
        rows.append(row(f"{client}: a replayed request above the limit", f"≤ {most:g} µs", ours["above_us"], "µs",
                        ours["above_us"] <= most, how))  # fmt: skip
    both = {
        count: cells["respool", client, count]["us"] / its["us"]
        for count in rounds.COUNTS if (its := cells.get(("cassetter", client, count)))
    }  # fmt: skip
    if both:
        told = ", ".join(f"{share:.2f} at {count:,}" for count, share in both.items())
        good = None if client == "aiohttp" else max(both.values()) < 1
        rows.append(row(f"{client}: against cassetter", "–" if good is None else "ahead", max(both.values()), "of its time",
                        good, told))  # fmt: skip
    flat = [cells.get(("respool", client, count)) for count in (100, 100_000)]
    if flat[0] and flat[1]:
        share = flat[1]["us"] / flat[0]["us"]
        rows.append(row(f"{client}: 100,000 interactions against 100", "flat", share, "times", share < 1.5,
                        f"{flat[0]['us']:.0f} µs, then {flat[1]['us']:.0f}; up to 1.5 is colder memory"))  # fmt: skip
    return rows


def _of_plugins(found: Json) -> list[Json]:
    tests, seconds = found["tests"], found["seconds"]
    bare = seconds["nothing"]["none"]
    added = {who: median([a - b for a, b in zip(each, bare, strict=True)]) / tests * 1000
             for who, each in seconds["opened"].items()}  # fmt: skip
    shared = median([a - b for a, b in zip(seconds["shared"]["respool"], bare, strict=True)]) / tests * 1000
    others = ", ".join(f"{who} {ms:.2f}" for who, ms in added.items() if who != "respool")
    clients = seconds["client"]
    faster = median([its / mine for mine, its in zip(clients["respool"], clients["pytest-recording"], strict=True)])
    whole = ", ".join(f"{who} {median(each):.2f} s" for who, each in clients.items())
    imports = ", ".join(f"{who} {ms:.1f}" for who, ms in found["import_ms"].items() if who != "respool")
    mine = found["import_ms"]["respool"]
    return [
        row("added to a test that opens a cassette of its own", "≤ 0.15 ms", added["respool"], "ms",
            added["respool"] <= TEST_MS, f"CPU, {tests:,} tests against as many without any plugin; {others}"),
        row("added to a test that opens a cassette which others open too", "≤ 0.15 ms", shared, "ms", shared <= TEST_MS,
            f"the same with one cassette for all {tests:,}"),
        row("import of the plugin, behind pytest", "≤ 10 ms", mine, "ms", mine <= IMPORT_MS, imports),
        row(f"{tests:,} tests, each with an httpx client of its own", "≥ 5 times as fast as vcrpy with pytest-recording",
            faster, "times", faster >= FASTER, f"CPU, whole command: {whole}"),
    ]  # fmt: skip


def markdown(found: Json) -> str:
    """The report as Markdown."""
    parts = ["# Replay\n", on(found["machine"], found["options"], found["seconds"]), targets(found["targets"])]
    if found.get("summary"):
        parts += [
            _cells("Median µs of a replayed request, client included", "us", found),
            _cells("Median ms to open the tape", "load_ms", found),
            _cells("Median µs of the first request", "first_us", found),
        ]
    if found.get("skipped"):
        parts.append("## Not measured\n\n" + "".join(f"- {name}: {why}\n" for name, why in found["skipped"].items()))
    return "\n".join(parts)


def _cells(title: str, figure: str, found: Json) -> str:
    cells = {(each["player"], each["client"], each["count"]): each[figure] for each in found["summary"]}
    counts = [count for count in rounds.COUNTS if any(cell[2] == count for cell in cells)]
    rows = [
        [client, who.name, *(significant(cells.get((who.name, client, count))) for count in counts)]
        for client in ALL for who in PLAYERS if any((who.name, client, count) in cells for count in counts)
    ]  # fmt: skip
    text = "CPU time. Columns: interactions on the tape. `limit`: the client on its lowest hook with a dictionary.\n\n"
    return f"## {title}\n\n{text}" + table(["client", "player", *(f"{count:,}" for count in counts)], rows)
