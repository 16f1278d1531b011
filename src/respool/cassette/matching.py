"""The declared rule for "the same request": what counts, what is ignored, how bodies compare. Gives a key.

Two requests are the same when their keys are equal, so a look-up is a dictionary's, whatever the size of the cassette.
Spelling never counts: %7E is ~, :443 goes without saying behind https, JSON may be formatted as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from respool.cassette import jsonpath, keys
from respool.cassette.model import Request
from respool.errors import UsageError
from respool.phrases import meant

PARTS = ("method", "scheme", "host", "port", "path", "query", "body")
_ALLOWED = (*PARTS, "raw_body")
_URI = ("scheme", "host", "port", "path", "query")
_VCR = {"uri": _URI, "url": _URI, "headers": ()}
_MEMO, _MEMO_SIZE = 4096, 8192  # entries, and the length of one: a memo is for small things that come again
_Text = TypeVar("_Text", str, bytes)
_Key = TypeVar("_Key")

Predicate: TypeAlias = Callable[[Request, Request], object]
"""A matcher as vcrpy has them: (live, recorded) → False, or an AssertionError, for "not the same"."""


class _Prepared:
    """What a Matching makes of its fields, once; no fields themselves, so equality and description do not see them."""

    _paths: tuple[jsonpath.Steps, ...]
    _method: bool
    _body: str
    _addresses: dict[str, str]  # keys of URLs, and
    _bodies: dict[bytes, Hashable]  # of bodies, as far as they were asked for


@dataclass(frozen=True)
class Matching(_Prepared):
    """What makes two requests the same. A frozen value: equal rules are equal and hash alike.

    `parts` that count: "method", "scheme", "host", "port", "path", "query", "body" (all of them by default), or
    "raw_body" (its exact bytes) in the body's stead. `headers` are names of headers that count too ("*": every one).
    `ignore_query`, `ignore_form` are names of parameters, `ignore_json` paths like "$.nonce" or "$.items[*].id" that do
    not. With `query_order` the order of the query counts. `normalise` gives the request that is compared in a request's
    stead. `custom` are functions of (live, recorded) that decide among the requests with equal keys: False or an
    AssertionError is a no. Raises UsageError for a name that is none.

    >>> rule = Matching(ignore_query=("ts",))
    >>> rule.key(Request("GET", "http://a/?b=1&ts=2")) == rule.key(Request("GET", "http://A:80/?ts=3&b=1"))
    True
    """

    parts: tuple[str, ...] = PARTS
    headers: tuple[str, ...] = ()
    ignore_query: tuple[str, ...] = ()
    query_order: bool = False
    ignore_json: tuple[str, ...] = ()
    ignore_form: tuple[str, ...] = ()
    normalise: Callable[[Request], Request] | None = None
    custom: tuple[Predicate, ...] = ()

    def __post_init__(self) -> None:
        for name in ("parts", "headers", "ignore_query", "ignore_json", "ignore_form", "custom"):
            given = getattr(self, name)  # a mark or a TOML file gives lists, a hand that types gives one text
            self._set(name, (given,) if isinstance(given, str) or callable(given) else tuple(given))
        for part in self.parts:
            _known(part, _ALLOWED, "a part of a request that can count")
        self._set("headers", tuple(name.lower() for name in self.headers))
        self._set("_paths", tuple(jsonpath.parse(path) for path in self.ignore_json))
        self._set("_method", "method" in self.parts)
        self._set("_body", next((part for part in ("raw_body", "body") if part in self.parts), ""))
        addresses, bodies = _memos(self.parts, self.ignore_query, self.query_order, self.ignore_json, self.ignore_form)
        self._set("_addresses", addresses)
        self._set("_bodies", bodies)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), tuple(getattr(self, each.name) for each in fields(self)))  # without the memos

    def key(self, request: Request) -> Hashable:
        """Equal for two requests exactly if they are the same (with `custom`: if they may be)."""
        if self.normalise is not None:
            request = self.normalise(request)
        method, url, headers, body = request
        return (
            method.upper() if self._method else None,
            self._addresses.get(url) or self._address(url),
            (self._bodies.get(body) or self._body_key(body)) if body and self._body else None,
            keys.named_headers(headers, self.headers) if self.headers else None,
        )

    def outline(self, request: Request) -> tuple[Hashable, bool]:
        """The key, as far as it is had without reading a body, and whether that is all of it.

        Requests with equal keys have equal outlines, and both are all, or neither is.
        """
        if self.normalise is not None:
            request = self.normalise(request)
        method, url, headers, body = request
        outline = (
            method.upper() if self._method else None,
            self._addresses.get(url) or self._address(url),
            None,
            keys.named_headers(headers, self.headers) if self.headers else None,
        )
        return outline, not (body and self._body)

    def agrees(self, live: Request, recorded: Request) -> bool:
        """Whether every custom matcher accepts the two, whose keys are equal. Other exceptions of theirs pass through."""
        for accepts in self.custom:
            try:
                answer = accepts(live, recorded)
            except AssertionError:
                return False
            if answer is not None and not answer:
                return False
        return True

    def described(self) -> dict[str, Any]:
        """What a cassette's header says of this rule: JSON values, only of what is not as by default; code by its name.

        >>> Matching(ignore_query=["ts"]).described()
        {'ignore_query': ['ts']}
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _told(value) for name, value in values.items() if value != getattr(type(self), name)}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Matching:
        """The rule with these settings: a mark's options, or what `described` said.

        Raises UsageError for a name that is none, and for code that is given by its name only (no text brings it back).

        >>> Matching.of({"ignore_query": ["ts"]}).ignore_query
        ('ts',)
        """
        for name, value in settings.items():
            _known(name, [each.name for each in fields(cls)], "a setting of a matching rule")
            parts = value if isinstance(value, (list, tuple)) else (value,)
            if value and name in ("normalise", "custom") and not all(callable(part) for part in parts):
                raise UsageError(f"{name} = {value!r} is no function", why="code cannot be given as text")
        return cls(**settings)

    @classmethod
    def of_vcr(cls, match_on: Collection[str], registered: Mapping[str, Predicate] | None = None) -> Matching:
        """vcrpy's `match_on` as a rule of ours; `registered` are matchers that were given a name of their own.

        >>> Matching.of_vcr(("method", "uri")).query_order
        True
        """
        own = registered or {}
        names = [name for name in match_on if name not in own]
        for name in names:
            _known(name, (*_ALLOWED, *_VCR, *own), "a matcher of vcrpy's, nor a registered one")
        parts = [part for name in names for part in _VCR.get(name, (name,))]
        return cls(
            parts=tuple(dict.fromkeys(parts)),
            headers=(keys.ALL_HEADERS,) if "headers" in names else (),
            query_order="uri" in names or "url" in names,
            custom=tuple(own[name] for name in match_on if name in own),
        )

    def _address(self, url: str) -> str:
        return _kept(self._addresses, url, keys.address(url, self.parts, self.ignore_query, self.query_order))

    def _body_key(self, body: bytes) -> Hashable:
        if self._body == "raw_body":
            return keys.raw_body(body)
        return _kept(self._bodies, body, keys.body(body, self._paths, self.ignore_form))


@lru_cache(64)
def _memos(*rule: Hashable) -> tuple[dict[str, str], dict[bytes, Hashable]]:
    """One pair for all rules alike: every test of a suite makes its own, and asks for the same addresses."""
    return {}, {}


def _kept(memo: dict[_Text, _Key], given: _Text, found: _Key) -> _Key:
    if len(given) <= _MEMO_SIZE:
        if len(memo) >= _MEMO:
            memo.clear()
        memo[given] = found
    return found


def _told(value: object) -> object:
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    if callable(value):
        return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return value


def _known(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        near = meant(name, known)
        raise UsageError(
            f"{name!r} is not {what}", why=f"known are {', '.join(known)}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
