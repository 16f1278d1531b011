"""Writes a test suite over real clients and the gene API: as many files as wanted, drawn from a seed.

Every request says in its address which test sends it, which one of how many it is: so a cassette can be checked for being
whole by whoever reads nothing but the cassette.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

WITHOUT = "-p no:respx -p no:requests_mock -p no:hypothesispytest -p no:anyio -p no:recording -p no:cassetter"
"""Plugins that only happen to be installed here, and that cost more than the tests."""
CLIENTS = ("requests", "httpx", "aiohttp", "urllib3", "http_client")
# Names that are prefixes of one another, of files and of tests.
STEMS = ("gene", "gene_1", "gene_10", "genes", "gene_list", "gene_list_long", "g", "partner", "partners", "partners_of")
TESTS = ("test_a", "test_a_b", "test_ab", "test_a_1", "test_a_10")

ASKING = '''
"""Asks the gene API through one of several clients, each in its own way."""

import json
import os

BASE = "{base}"
KEY = {{"X-Api-Key": os.environ.get("GENES_KEY", "no-key-at-all")}}
GENES = {genes!r}
GIVE_UP = float(os.environ.get("GENES_GIVE_UP", "8"))


def address(test, number, count):
    return f"{{BASE}}/genes/{{GENES[(number * 7 + len(test)) % len(GENES)]}}?test={{test}}&number={{number}}&of={{count}}"


def with_requests(urls):
    import requests

    with requests.Session() as session:
        for url in urls:
            yield checked(session.get(url, headers=KEY, timeout=GIVE_UP).json())


def with_httpx(urls):
    import httpx

    with httpx.Client(headers=KEY, timeout=GIVE_UP) as client:
        for url in urls:
            yield checked(client.post(url, json={{"symbols": GENES[:3]}}).json()["genes"][0])


def with_aiohttp(urls):
    import asyncio

    import aiohttp

    async def ask():
        async with aiohttp.ClientSession(headers=KEY, timeout=aiohttp.ClientTimeout(total=GIVE_UP)) as session:
            found = []
            for url in urls:
                async with session.get(url) as answer:
                    found.append(checked(await answer.json()))
            return found

    yield from asyncio.run(ask())


def with_urllib3(urls):
    import urllib3

    with urllib3.PoolManager(headers=KEY, retries=False, timeout=GIVE_UP) as pool:
        for url in urls:
            yield checked(json.loads(pool.request("GET", url).data))


def with_http_client(urls):
    import urllib.request

    for url in urls:
        with urllib.request.urlopen(urllib.request.Request(url, headers=KEY), timeout=GIVE_UP) as answer:
            yield checked(json.loads(answer.read()))


def checked(told):
    assert told["symbol"] in GENES
    assert all(partner["score"] > 0 for partner in told["partners"])
    return told


def ask(client, test, count):
    urls = [address(test, number, count) for number in range(count)]
    assert len(list(globals()["with_" + client](urls))) == count
'''

PROJECT = """
[project]
name = "genes"
version = "0"

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
addopts = "{without}"

[tool.respool.rerecord]
require_env = ["GENES_KEY"]
priority = ["^test_gene_10", "^test_partners"]
limits = {{ "{host}" = "{limit}" }}
volatile = ["$.generated_at", "$.request_id"]
{settings}
"""


@dataclass
class Suite:
    """A suite that was written. `cassettes` maps each (a path below `folder`) to the tests that play it, `files` to how many
    requests each test file makes, `late` are cassettes of tests that came after the first recording."""

    folder: Path
    cassettes: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)

    @property
    def requests(self) -> int:
        return sum(self.files.values())


def write(
    folder: Path, base: str, genes: list[str], *, files: int, late: int, seed: int = 1, limit: str = "10000/s",
    settings: str = "", most: int = 30,
) -> Suite:  # fmt: skip
    """A suite of so many test files, of which the last `late` are to be left out of the first recording."""
    chance = random.Random(seed)
    suite = Suite(folder)
    tests = folder / "tests"
    tests.mkdir(parents=True)
    (folder / "asking.py").write_text(ASKING.format(base=base, genes=genes).lstrip())
    host = base.partition("//")[2]
    project = PROJECT.format(host=host, limit=limit, settings=settings, without=WITHOUT)
    (folder / "pyproject.toml").write_text(project.lstrip())
    for number in range(files):
        stem = f"{STEMS[number % len(STEMS)]}{number // len(STEMS) or ''}"
        text = _file(suite, f"test_{stem}", number, chance, most, is_late=number >= files - late)
        (tests / f"test_{stem}.py").write_text(text)
    return suite


def _file(suite: Suite, module: str, number: int, chance: random.Random, most: int, *, is_late: bool) -> str:
    client = CLIENTS[number % len(CLIENTS)]
    lines = ["import pytest", "from asking import ask", "", ""]
    for test in TESTS[: chance.choice((1, 2, 2, 3))]:
        count = min(most, chance.choice((1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 30)))
        cases = chance.choice((1, 1, 1, 3))
        if cases > 1:
            count = min(count, 3)
        names = [f"{test}-{case}" for case in range(cases)] if cases > 1 else [test]
        lines += [f'@pytest.mark.parametrize("case", range({cases}))'] if cases > 1 else []
        argument, told = ("case", f"f'{module}.{test}-{{case}}'") if cases > 1 else ("", repr(f"{module}.{test}"))
        lines += ["@pytest.mark.cassette", f"def {test}({argument}):", f"    ask({client!r}, {told}, {count})", "", ""]
        for name in names:
            _plays(suite, f"tests/cassettes/{module}/{name}.json", module, f"{module}.{name}", count, is_late)
    if number % 12 < 2 and not is_late:  # two files after one another share a cassette
        shared, test = f"shared_{number // 12}", f"{module}.test_shared"
        lines += [f'@pytest.mark.cassette("{shared}")', "def test_shared():", f"    ask({client!r}, {test!r}, 2)", "", ""]
        _plays(suite, f"tests/cassettes/{shared}.json", module, test, 2, is_late)
    return "\n".join(lines)


def _plays(suite: Suite, cassette: str, module: str, test: str, count: int, is_late: bool) -> None:
    suite.cassettes.setdefault(cassette, set()).add(test)
    file = f"tests/{module}.py"
    suite.files[file] = suite.files.get(file, 0) + count
    if is_late:
        suite.late.add(cassette)
