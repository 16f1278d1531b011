"""docs/benchmarks.md: the generated part, between two markers; what stands outside of them is kept."""

from __future__ import annotations

from pathlib import Path

from bench.figures import Json, significant

BEGIN, END = "<!-- bench: generated, do not edit -->", "<!-- bench: end -->"
FRAME = f"""# Benchmarks

`make bench` measured what follows, on one machine, in one go. Every round runs every contestant once; rates are items
per second from the first item handed out until a second process has seen the last one recorded. Machines are noisy:
quote medians, and the ratios, which are taken within a round.

{BEGIN}
{END}
"""


def write(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put a report between its markers on the page `path`; where they are missing they are made."""
    page = path.read_text(encoding="utf-8") if path.exists() else FRAME
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def markdown(found: Json) -> str:
    """The whole report of a run as Markdown."""
    parts = [on(found["machine"], found["options"], found["seconds"])]
    if found["targets"]:
        parts.append(targets(found["targets"]))
    parts += [_rates(found["summary"], work, title) for work, title in (("noop", "No-op items"), ("1ms", "1 ms items"))]
    if found["trials"]:
        parts.append(_trials(found["trials"]))
    for title in ("skipped", "broken"):
        if found[title]:
            parts.append(f"## {title.capitalize()}\n\n" + "".join(f"- {n}: {why}\n" for n, why in found[title].items()))
    return "\n".join(part for part in parts if part)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def on(machine: Json, options: Json, seconds: float) -> str:
    """What it was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    rows = [
        ["machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, {machine['system']}"],
        ["kernel, disk", f"{machine['kernel']}, {machine['file_system']}"],
        ["Python, SQLite", f"{machine['python']}, {machine['sqlite']}"],
        ["versions", versions],
        ["load before and after", f"{machine['load_before']:g}, {machine['load_after']:g}"],
        ["run", f"{machine['date']}: {options['rounds']} rounds, {options['workers']} workers, {seconds / 60:.0f} minutes"],
    ]
    return table(["", ""], rows)


def targets(told: list[Json]) -> str:
    """The table of targets: rows of what, target, value, unit, ok (None: none was set), detail."""
    rows = []
    for row in told:
        verdict = {True: "yes", False: "**no**", None: "–"}[row["ok"]]
        value = row["value"] if isinstance(row["value"], str) else significant(row["value"])
        rows.append([row["what"], row["target"], f"{value} {row['unit']}".strip(), verdict, row["detail"]])
    return "## respool against its targets\n\n" + table(["what", "target", "measured", "met", "how"], rows)


def _rates(summary: list[Json], work: str, title: str) -> str:
    rows = []
    for row in summary:
        if row["work"] != work:
            continue
        same = "–" if row["name"] == row["same_kind"] else f"{significant(row['ratio_same_kind'])} ({row['same_kind']})"
        rows.append([
            row["name"], f"{row['items']:,}",
            " / ".join(significant(row["rate"][part]) for part in ("min", "median", "max")),
            significant(row["ratio"]), same, significant(row["first_s"]), significant(row["pss_mb"]),
        ])  # fmt: skip
    if not rows:
        return ""
    head = ["contestant", "items", "items/s min / median / max", "respool's async items ÷ it",
            "respool's items of the same kind ÷ it", "first item recorded, s", "PSS, MB"]  # fmt: skip
    return f"## {title}\n\n" + table(head, rows)


def _trials(trials: list[Json]) -> str:
    rows = []
    for row in trials:
        if "skipped" in row:
            rows.append([row["name"], row["skipped"], "", "", "", ""])
            continue
        rows.append([
            row["name"], f"{row['finished_before_kill']} of {row['items']}", str(row["never_finished"]),
            str(row["not_recorded"]), str(row["twice"]), str(row["left_behind"]),
        ])  # fmt: skip
    head = ["contestant", "finished before", "never finished", "not recorded", "finished twice",
            "processes left behind"]  # fmt: skip
    text = "20 ms items; `kill -9` of the main process when a third of them took effect; the same command again.\n\n"
    return "## After `kill -9`\n\n" + text + table(head, rows)
