"""Watches the cassettes of a suite, as a program of its own: hashes them all the time, and says what should never be seen.

    python cassette_watch.py FOLDER PLAN REPORT         PLAN: {cassette: [tests that play it]}; ends when stdin does

A cassette may be what it was at the start, or whole: readable, every request of every one of its tests there in its order,
each answered with 200. It never vanishes, is never written in its place (the kernel tells), and never changes behind its
facts. The report is {"states": how many contents were seen, "new": cassettes that changed, "wrong": [...]}.
"""

# ruff: noqa: T201 - a program of its own
from __future__ import annotations

import ctypes
import json
import os
import select
import struct
import sys
from hashlib import blake2b
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

IN_MODIFY, IN_MOVED_FROM, IN_CREATE, IN_DELETE, IN_ISDIR = 0x2, 0x40, 0x100, 0x200, 0x40000000
HARMFUL = {IN_MODIFY: "written in its place", IN_MOVED_FROM: "moved away", IN_DELETE: "deleted"}
EVENT = struct.Struct("iIII")


class Watch:
    """What was seen of the cassettes below `folder`."""

    def __init__(self, folder: Path, plan: dict[str, list[str]]) -> None:
        self.folder, self.plan = folder, plan
        self.facts: dict[str, tuple[int, int, int]] = {}
        self.digests: dict[str, str] = {}
        self.first: dict[str, str] = {}
        self.seen: dict[str, set[str]] = {}
        self.wrong: list[str] = []
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.events = self.libc.inotify_init1(os.O_NONBLOCK)
        self.folders: dict[int, Path] = {}

    def look(self, *, first: bool = False, closely: bool = False) -> None:
        """Hash what has changed since the last look, or everything."""
        there = set()
        for path in self._cassettes(self.folder):
            name = path.relative_to(self.folder.parent.parent).as_posix()
            there.add(name)
            try:
                stat = path.stat()
                facts = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if closely or facts != self.facts.get(name):
                    self._read(name, path.read_bytes(), changed=facts != self.facts.get(name), first=first)
                self.facts[name] = facts
            except FileNotFoundError:
                there.discard(name)
        for name in self.digests.keys() - there:
            self.wrong.append(f"{name} vanished")
            del self.digests[name], self.facts[name]

    def _cassettes(self, folder: Path) -> list[Path]:
        found = []
        for entry in os.scandir(folder):
            if entry.is_dir():
                if Path(entry.path) not in self.folders.values():
                    self.listen(Path(entry.path))
                found += self._cassettes(Path(entry.path))
            elif entry.name.endswith(".json") and not entry.name.startswith("."):
                found.append(Path(entry.path))
        return found

    def _read(self, name: str, data: bytes, *, changed: bool, first: bool) -> None:
        digest = blake2b(data, digest_size=16).hexdigest()
        if digest == self.digests.get(name):
            return
        if not changed:
            self.wrong.append(f"{name} changed behind its facts")
        self.digests[name] = digest
        self.seen.setdefault(name, set()).add(digest)
        if first:
            self.first[name] = digest
        elif digest != self.first.get(name) and (why := self._not_whole(name, data)):
            self.wrong.append(f"{name} is in a third state: {why}")

    def _not_whole(self, name: str, data: bytes) -> str | None:
        try:
            interactions = json.loads(data)["interactions"]
        except (ValueError, KeyError, TypeError) as error:
            return f"it cannot be read: {error!r}"
        numbers: dict[str, list[int]] = {}
        counts: dict[str, int] = {}
        for each in interactions:
            query = {key: values[0] for key, values in parse_qs(urlsplit(each["request"]["url"]).query).items()}
            numbers.setdefault(query["test"], []).append(int(query["number"]))
            counts[query["test"]] = int(query["of"])
            if each["response"]["status"] != 200:
                return f"an answer with {each['response']['status']} is on it"
        for test, found in numbers.items():
            if found != list(range(counts[test])):
                return f"{test} has the requests {found} of {counts[test]}"
        if sorted(numbers) != sorted(self.plan.get(name, [])):
            return f"it has requests of {sorted(numbers)}, not of {sorted(self.plan.get(name, []))}"
        return None

    def listen(self, folder: Path) -> None:
        """Have the kernel tell of what happens in this folder."""
        number = self.libc.inotify_add_watch(self.events, os.fsencode(folder), IN_MODIFY | IN_MOVED_FROM | IN_DELETE)
        self.folders[number] = folder

    def hear(self, seconds: float) -> bool:
        """Wait so long for the kernel's events, and note the harmful ones; whether there were any."""
        if not select.select([self.events], [], [], seconds)[0]:
            return False
        data = os.read(self.events, 1 << 16)
        at = 0
        while at < len(data):
            number, mask, _, size = EVENT.unpack_from(data, at)
            name = data[at + EVENT.size : at + EVENT.size + size].rstrip(b"\0").decode()
            at += EVENT.size + size
            if name.endswith(".json") and not name.startswith(".") and not mask & IN_ISDIR:
                self.wrong += [f"{self.folders[number] / name} was {what}" for bit, what in HARMFUL.items() if mask & bit]
        return True


def main() -> None:
    """Watch until stdin ends; then write the report."""
    folder, plan, report = (Path(each) for each in sys.argv[1:4])
    watch = Watch(folder, json.loads(plan.read_text()))
    watch.listen(folder)
    watch.look(first=True)
    print("watching", flush=True)
    rounds = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        watch.hear(0.02)
        rounds += 1
        watch.look(closely=rounds % 25 == 0)
    while watch.hear(0):
        pass
    watch.look(closely=True)
    changed = sum(1 for name, digests in watch.seen.items() if digests - {watch.first.get(name)})
    told = {"rounds": rounds, "states": sum(map(len, watch.seen.values())), "new": changed, "wrong": watch.wrong}
    report.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
