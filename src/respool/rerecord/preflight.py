"""What must be right before anything is recorded. Nothing here writes, and everything that is wrong is told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from respool.cassette import placing
from respool.errors import CassetteRefused, UsageError
from respool.rerecord import programs
from respool.rerecord.settings import TABLE, Settings

_NO_KEY = re.compile(
    r"(?:x+|\*+|\.+|-+|0+|none|null|nil|todo|tbd|test|dummy|fake|secret|key|token|placeholder|redacted|example"
    r"|change[-_ ]?me|<.*>|\$\{.*\}|\{\{.*\}\}|(?:your|my|insert|replace|enter|put|add)[-_ ].*"
    r"|.*(?:your|api)[-_ ]?(?:api[-_ ]?)?(?:key|token|secret)[-_ ]?here.*|[a-z]{2,6}[-_](?:x{3,}|\.{3,}|\*{3,}))",
    re.IGNORECASE | re.DOTALL,
)


def is_placeholder(value: str) -> bool:
    """Whether the value of a key was only put there to be replaced.

    >>> is_placeholder("your-api-key"), is_placeholder("<key>"), is_placeholder("sk-xxxx"), is_placeholder("sk-9fA2b7c1d")
    (True, True, True, False)
    """
    return not value.strip() or _NO_KEY.fullmatch(value.strip()) is not None


def check(
    settings: Settings, spool: Path, environ: Mapping[str, str] = os.environ, cassettes: Iterable[str] = ()
) -> None:
    """Raise UsageError with all that is wrong. `spool` is the file of the spool that will hold the job, `cassettes` are the
    paths below the root that will be recorded, as far as they are known."""
    found = [*_complaints(settings, spool, environ), *_closed_folders(settings.root, cassettes)]
    if found:
        more = "".join(f"\n  also:  {each}" for each, _ in found[1:])
        raise UsageError(f"nothing was recorded: {found[0][0]}{more}", command=found[0][1])


def run_probe(settings: Settings) -> None:
    """Run the project's probe, one call that shows whether service and key work. Raises UsageError if it fails."""
    if not settings.probe:
        return
    code, said = programs.probe(settings.probe, settings.root)
    if code != 0:
        how = f"ended with exit code {code}" if code is not None else "failed"
        raise UsageError(
            f"nothing was recorded: the probe {how}: {said.splitlines()[-1] if said else 'it said nothing'}",
            where=f"probe in {TABLE}: {' '.join(settings.probe)}", why="\n         ".join(said.splitlines()[-5:]) or None,
            command="mend what it names, or check the key, then run the same command again",
        )  # fmt: skip


def key_prints(settings: Settings, salt: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A fingerprint of each required key, salted with the spool's own id: it tells whether a key changed, and no more."""
    return {
        name: blake2b(environ.get(name, "").encode(), key=salt.encode()[:64], digest_size=6).hexdigest()
        for name in settings.require_env
    }


def _complaints(settings: Settings, spool: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do)."""
    for name in settings.require_env:
        value = environ.get(name)
        if value is None or not value.strip():
            yield f"the environment variable {name} is {'not set' if value is None else 'empty'}", f"export {name}=..."
        elif is_placeholder(value):
            yield f"the environment variable {name} holds a placeholder, not a key", f"export {name}=..."
    for folder in settings.tests:
        if not (settings.root / folder).exists():
            yield f"the test folder {folder!r} is not there", f"set tests in {TABLE}"
    if find_spec("pytest") is None:
        yield "pytest is not installed for this Python", "pip install pytest"
    elif not any(each.value == "respool.pytest_plugin" for each in entry_points(group="pytest11")):
        yield "pytest does not know respool's plugin: it is not installed for this Python", "pip install respool"
    place = next(each for each in (spool, *spool.parents) if each.exists())
    if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        yield f"the spool {str(spool)!r} cannot be written", "respool rerecord --spool /a/local/path"


def _closed_folders(root: Path, cassettes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What is paid for and cannot be put in its place would be lost."""
    try:
        placing.admitted(root / name for name in cassettes)
    except CassetteRefused as error:
        yield error.what.replace(f"{root}{os.sep}", ""), str(error.command)
