"""`[tool.respool.llm]`: which provider and model write summaries, how fast, for how much, and whether they may be asked.

A summary is asked of a provider only if that is *configured*: with a real key, at a keyless local address, or from the
recorded answers of a cassette. Everything else says why not, and that reason is recorded.
"""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from respool.clusters.record import Record
from respool.config import load_table, parse_duration
from respool.errors import UsageError
from respool.pace import Limit, Rate
from respool.phrases import meant

KEYS: dict[str, tuple[str, ...]] = {
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "openai": ("OPENAI_API_KEY",), "anthropic": ("ANTHROPIC_API_KEY",),
}  # fmt: skip
"""The environment variables that a provider's key is looked for in."""
DEFAULT_MODELS = {"google": "gemini-2.5-flash", "openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5"}
_STAND_INS = "changeme change-me placeholder dummy todo none null test example secret key apikey api-key xxx"
LARGEST_PROMPT = 8000  # tokens: what the caps of evidence.py, and one repair, come to at most
Output = Literal["auto", "native", "tool", "prompted"]


@dataclass(frozen=True, slots=True)
class Model(Record):
    """Which model is asked, and how: all of it is a part of what an answer is known by. `url` is that of a compatible
    service, or None for the provider's own."""

    provider: str
    name: str
    url: str | None = None
    temperature: float | None = 0.0
    max_tokens: int = 2000
    output: Output = "auto"

    def __str__(self) -> str:
        return f"{self.name} at {self.url or self.provider}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is configured. `judge` is another model, or None; `cassette` holds recorded answers; `timeout` is of one call, in
    seconds; `max_cost` in US dollars is for one run."""

    provider: str | None = None
    model: str | None = None
    url: str | None = None
    key_env: str | None = None
    temperature: float | None = 0.0
    max_tokens: int = 2000
    output: Output = "auto"
    judge: str | None = None
    timeout: float = 120.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    max_cost: float | None = None
    strict: bool = False
    cassette: Path | None = None

    def generator(self) -> Model:
        """The model that writes. Raises UsageError if none is named and none can be told."""
        provider = self.provider or next((name for name in KEYS if self.key(name) is not None), None)
        if provider is None:
            raise UsageError(
                "no provider is configured", where="[tool.respool.llm]",
                command='provider = "google" (or "openai", "anthropic", "http://localhost:11434/v1") there, or --provider',
            )  # fmt: skip
        return self._model(provider, self.model)

    def judging(self) -> Model | None:
        """The model that judges, or None. "MODEL" is one of the same provider; "PROVIDER:MODEL" and "URL#MODEL" are others.
        Raises UsageError as `generator` does."""
        if self.judge is None:
            return None
        provider, colon, name = self.judge.partition(":")
        if colon and provider in KEYS:
            return replace(self._model(provider, name), temperature=0.0)
        if "://" in self.judge:
            url, _, name = self.judge.partition("#")
            return replace(self._model(url, name or None), temperature=0.0)
        return replace(self.generator(), name=self.judge, temperature=0.0)

    def key(self, provider: str) -> str | None:
        """The key for a provider (or a URL) from the environment, if there is one that is no placeholder."""
        names = (self.key_env,) if self.key_env and provider == self.provider else KEYS.get(provider, ())
        values = (os.environ.get(name or "", "").strip() for name in names)
        return next((value for value in values if is_key(value)), None)

    def missing(self) -> str | None:
        """Why nothing can be asked, or None if it can."""
        if find_spec("pydantic_ai") is None:
            return "the extra [llm] is not installed: pip install 'respool[llm]'"
        try:
            models = [model for model in (self.generator(), self.judging()) if model is not None]
        except UsageError as error:
            return error.what
        if self.cassette is not None:
            return None if self.cassette.is_file() else f"the cassette {self.cassette} is not there"
        return next((reason for model in models if (reason := self._keyless(model)) is not None), None)

    def limits(self, model: Model) -> tuple[Limit, ...]:
        """The limits that calls of this model are held to, under the provider's key. A limit on tokens counts every call
        at the largest that it can be: it holds whatever the calls turn out to need."""
        rates = [self.requests_per_minute] if self.requests_per_minute else []
        if self.tokens_per_minute:
            rates.append(max(1, self.tokens_per_minute // (LARGEST_PROMPT + model.max_tokens)))
        return (Limit(f"llm {model.url or model.provider}", [Rate(min(rates), 60_000_000)] if rates else []),)

    def _model(self, provider: str, name: str | None) -> Model:
        url = self.url if provider in KEYS and provider == self.provider else None
        if provider not in KEYS:
            if "://" not in provider:
                close = meant(provider, KEYS)
                there_are = f"there are {', '.join(KEYS)}, and any URL of the OpenAI form"
                raise UsageError(
                    f"the provider {provider!r} is not known", where="[tool.respool.llm]",
                    why=f"did you mean {close[0]}?" if close else there_are,
                )  # fmt: skip
            provider, url = "compatible", _address(provider)
        name = name or DEFAULT_MODELS.get(provider)
        if name is None:
            raise UsageError(f"no model is named for {url}", where="[tool.respool.llm]", command="model = ..., or --model")
        return Model(provider, name, url, self.temperature, self.max_tokens, self.output)

    def _keyless(self, model: Model) -> str | None:
        where = model.url if model.provider == "compatible" else model.provider
        if self.key(where or "") is not None or is_local(model.url):
            return None
        names = self.key_env if self.key_env else " or ".join(KEYS.get(model.provider, ("key_env",)))
        return f"no key for {where}: {names} is not set, or a placeholder"


def is_key(value: str) -> bool:
    """Whether this can be a key: not empty, and no word that stands for one.

    >>> is_key("sk-9f8a7b6c5d4e3f"), is_key("your-api-key"), is_key("")
    (True, False, False)
    """
    lowered = value.lower()
    stands_for = lowered in _STAND_INS.split() or lowered.startswith(("your", "<", "insert", "replace"))
    return bool(value) and not stands_for and len(set(lowered)) > 2


def is_local(url: str | None) -> bool:
    """Whether a URL leads to this machine or its own network, where services need no key."""
    host = urlsplit(url or "").hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _address(url: str) -> str:
    """The URL, if it names a host. Raises UsageError."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0  # reading the port checks it
    except ValueError:
        named = False
    if not named:
        raise UsageError(f"the provider {url!r} is no URL that can be asked", where="[tool.respool.llm]")
    return url


def load_settings(overrides: Mapping[str, Any] | None = None, *, start: Path | None = None) -> Settings:
    """The project's settings (of the folder `start`, or the working folder), with `overrides` that are not None on top.

    Raises UsageError for a key that is not known or a value that cannot be.
    """
    file, table = load_table("llm", start)
    where = f"{file}: [tool.respool.llm]" if file is not None else "the command line"
    folder = file.parent if file is not None else Path.cwd()
    if isinstance(table.get("cassette"), str):
        table = {**table, "cassette": folder / table["cassette"]}
    given = {**table, **{name: value for name, value in (overrides or {}).items() if value is not None}}
    known = [field.name for field in fields(Settings)]
    for name in given:
        if name not in known:
            close = meant(name, known)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise UsageError(f"[tool.respool.llm] has no key {name!r}", where=where, why=hint)
    return Settings(**{name: _checked(name, value, where) for name, value in given.items()})


_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("provider", "model", "url", "key_env", "judge"), (str, "text")),
    "temperature": ((int, float), "a number of at least 0"), "strict": (bool, "a bool"),
    "max_cost": ((int, float), "a number of dollars, 0 or more"),
    "max_tokens": (int, "a number of at least 1"), "concurrency": (int, "a number of at least 1"),
    "requests_per_minute": (int, "a number of at least 1"), "tokens_per_minute": (int, "a number of at least 1"),
    "cassette": (Path, "a path"),
}  # fmt: skip


def _checked(name: str, value: Any, where: str) -> Any:
    if name == "timeout":
        return parse_duration(value, what=f"timeout in {where}")
    if name == "output":
        right, words = value in ("auto", "native", "tool", "prompted"), '"auto", "native", "tool" or "prompted"'
    else:
        kind, words = _TYPES[name]
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if right and kind is int:
            right = value >= 1
        elif right and kind == (int, float):
            right = 0 <= value < math.inf  # a limit that is no number would never be reached
    if not right:
        raise UsageError(f"{name} must be {words}, not {value!r}", where=where)
    return value
