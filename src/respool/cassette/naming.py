"""The file of a test's cassette: read off its id alone, and never that of another test on any file system.

A part of an id that is plain (lower case letters, digits, underscores; a class in CamelCase is written in snake case)
stands in the name as it is. Any other is shortened to what is plain of it, and carries a digest of the whole part. No
plain part holds the "--" before a digest, so the two cannot meet; nothing in a name depends on its case; nothing in it
is a name that Windows keeps for itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from respool.canonical import digest

_PLAIN = re.compile("[a-z0-9_]{1,60}")
_PLAIN_PARAMETERS = re.compile(r"(?!-)(?!.*--)[a-z0-9_.-]{1,60}(?<!-)")
_CAMEL = re.compile("(?:[A-Z][a-z0-9]*)+")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{device}{number}" for device in ("com", "lpt") for number in range(10)}
_OURS = {"class", "session"}  # names of the cassettes of wider scopes; no function can be called by the first


def cassette_path(
    folder: Path, module: str, cls: str | None = None, test: str | None = None, params: str | None = None
) -> Path:
    """Where the cassette of a test is, or, without `test`, that of a whole class or module.

    `module` is the file's stem, `cls` the class with those around it ("TestOuter.TestInner"), `params` what pytest puts
    into brackets. Different ids have different paths, after case folding too.

    >>> folder = Path("tests/cassettes")
    >>> cassette_path(folder, "test_weather", None, "test_oslo").as_posix()
    'tests/cassettes/test_weather/test_oslo.json'
    >>> cassette_path(folder, "test_weather", "TestCity", "test_temp", "oslo-1.5").as_posix()
    'tests/cassettes/test_weather/test_city/test_temp-oslo-1.5.json'
    >>> cassette_path(folder, "test_weather", None, "test_oslo", "Å").as_posix()
    'tests/cassettes/test_weather/test_oslo-_--e3b95f20b4b88e01.json'
    """
    if cls is None and test is None:
        return folder / f"{_part(module)}.json"
    place = _place(folder, module, cls)
    return place / ("class.json" if test is None else file_name(test, params))


def file_name(test: str, params: str | None = None) -> str:
    """The last part of `cassette_path`: all tests of a class, or of a module, have theirs in one folder.

    >>> file_name("test_temp", "oslo-1.5")
    'test_temp-oslo-1.5.json'
    """
    name = _part(test)
    if params is None:
        return f"{name}.json"
    return f"{name}-{params if _PLAIN_PARAMETERS.fullmatch(params) else _shortened(params)}.json"


def _place(folder: Path, module: str, cls: str | None) -> Path:
    place = folder / _part(module)
    for each in () if cls is None else cls.split("."):
        place /= _part(each, snake=True)
    return place


@lru_cache(maxsize=64)
def _part(part: str, *, snake: bool = False) -> str:
    if not snake:
        return part if _is_free(part) else _shortened(part)
    found = re.sub("(?<!^)(?=[A-Z])", "_", part).lower()
    return found if _CAMEL.fullmatch(part) and _is_free(found) else _shortened(part)


def _is_free(part: str) -> bool:
    return _PLAIN.fullmatch(part) is not None and part not in _RESERVED and part not in _OURS


def _shortened(part: str) -> str:
    plain = re.sub("[^a-z0-9_]+", "_", part.lower())[:40]
    return f"{plain}--{digest(part.encode('utf-8', 'surrogatepass'))[:16]}"


def of_parameters(plain: Path) -> re.Pattern[str]:
    """What the paths (with /) of all parametrised cassettes of one test match, and those of no other test.

    `plain` is the path that the test has without parameters.

    >>> found = of_parameters(Path("c/test_temp.json"))
    >>> [bool(found.fullmatch(f"c/{name}.json")) for name in ("test_temp-oslo", "test_temp", "test_temp_more-oslo")]
    [True, False, False]
    """
    # A function in another spelling of case has a digest behind two hyphens: "test_temp--e3b95f20b4b88e01".
    shortened = "[a-z0-9_]{0,40}--[0-9a-f]{16}"
    start = re.escape(plain.with_suffix("").as_posix())
    return re.compile(rf"{start}-(?:{_PLAIN_PARAMETERS.pattern}|{shortened})\.json")
