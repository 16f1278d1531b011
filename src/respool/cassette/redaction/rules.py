"""The rules of redaction as values, the default ones, and what a set of rules comes to when it is put to work.

Every rule has a stable `id` ("header:authorization", "query:by-name", "value:github"), by which it can be switched off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from respool.cassette import jsonpath
from respool.cassette.model import Interaction, placeholder
from respool.cassette.redaction.secret_shapes import SHAPES, worth_collecting
from respool.cassette.redaction.sensitive_names import is_secret_variable
from respool.errors import UsageError
from respool.phrases import meant

LONG = 12  # characters from which on the value of an undeclared environment variable is taken for a secret
_USERINFO = re.compile(r"://[^/\s?#:@]*:([^/\s?#@]+)@")


class _Rule:
    """A value: equal to one of the same kind with the same parts. By hand, since ten dataclasses cost 10 ms to import."""

    made_of: ClassVar[tuple[str, ...]] = ()
    prefix: ClassVar[str] = ""

    def __init__(self, *parts: object) -> None:
        self.__dict__.update(zip(self.made_of, parts, strict=True))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a redaction rule is a value: its {name} cannot be changed")

    def parts(self) -> tuple[Any, ...]:
        """What the rule was made of."""
        return tuple(self.__dict__[name] for name in self.made_of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rule) and type(self) is type(other) and self.parts() == other.parts()

    def __hash__(self) -> int:
        return hash((type(self), self.parts()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts()))})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.parts())


class _Named(_Rule):
    made_of = ("name", "placeholder")
    name: str
    placeholder: str | None

    def __init__(self, name: str, placeholder: str | None = None) -> None:
        super().__init__(name, placeholder)

    @property
    def id(self) -> str:
        return f"{self.prefix}:{self.name}"


class Header(_Named):
    """The values of a header, in requests and answers. Scheme words, cookie names and attributes are kept."""

    prefix = "header"

    @property
    def id(self) -> str:
        return f"header:{self.name.lower()}"


class Query(_Named):
    """The values of a parameter of the query."""

    prefix = "query"


class Form(_Named):
    """The values of a field of a form or of a multipart body."""

    prefix = "form"


class Json(_Named):
    """The strings and numbers (these become 0) at or below a path of JSON bodies: Json("$.user.email")."""

    prefix = "json"


class Env(_Named):
    """The value of an environment variable wherever it occurs, in any encoding. An unset or empty one does nothing.

    Another tool's placeholder keeps its cassettes playing: Env("CTX_API_KEY", placeholder="<<<API_KEY>>>").
    """

    prefix = "env"


class Path(_Rule):
    """What an expression finds in the path of a URL: its first group, or all of it: Path("/accounts/([0-9]+)", "account")."""

    made_of = ("expression", "name", "placeholder")
    expression: str
    name: str
    placeholder: str | None

    def __init__(self, expression: str, name: str, placeholder: str | None = None) -> None:
        super().__init__(expression, name, placeholder)

    @property
    def id(self) -> str:
        return f"path:{self.name}"


class Value(_Rule):
    """A text wherever it occurs, in any encoding; or what a compiled expression finds (its first group, or all of it)."""

    made_of = ("value", "name", "placeholder")
    value: str | re.Pattern[str]
    name: str
    placeholder: str | None

    def __init__(self, value: str | re.Pattern[str], name: str, placeholder: str | None = None) -> None:
        super().__init__(value, name, placeholder)

    @property
    def id(self) -> str:
        return f"value:{self.name}"


class ByName(_Rule):
    """Whatever is named like a secret in a `place`: "header", "query", "form", "json", "xml" or "env"."""

    made_of = ("place",)
    place: str

    @property
    def id(self) -> str:
        return f"{self.place}:by-name"


class Shape(_Rule):
    """Whatever has the shape of a maker's key, a JWT or a private key; `name` is one of secret_shapes.SHAPES."""

    made_of = ("name",)
    name: str

    @property
    def id(self) -> str:
        return f"value:{self.name}"


class UserInfo(_Rule):
    """User and password in URLs, wherever these stand."""


    @property
    def id(self) -> str:
        return "url:userinfo"


Function: TypeAlias = Callable[[Interaction], Interaction]
"""A rule in code. It runs before all others, and for a request alone with an answer of status 0."""
Rule: TypeAlias = Header | Query | Form | Json | Path | Value | Env | ByName | Shape | UserInfo | Function

DEFAULT: tuple[Rule, ...] = (
    *(Header(name) for name in ("authorization", "proxy-authorization", "cookie", "set-cookie")),
    *(ByName(place) for place in ("header", "query", "form", "json", "xml", "env")),
    UserInfo(),
    *(Shape(name) for name in SHAPES),
)


def rule_id(rule: Rule) -> str:
    """The stable name of a rule; of a function its own.

    >>> rule_id(Header("X-Tenant"))
    'header:x-tenant'
    """
    found = getattr(rule, "id", None)
    return found if isinstance(found, str) else f"function:{getattr(rule, '__qualname__', type(rule).__qualname__)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Rules put to work: what stands where, and what is known by its text."""

    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: tuple[tuple[jsonpath.Steps, str], ...] = ()
    paths: tuple[tuple[re.Pattern[str], str], ...] = ()
    by_name: frozenset[str] = frozenset()
    userinfo: bool = False
    shapes: tuple[str, ...] = ()
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    protected: re.Pattern[str] = re.compile("(?!)")
    functions: tuple[Function, ...] = ()


def plan(rules: Iterable[Rule], without: Iterable[str], environ: Mapping[str, str], protected: str) -> Plan:
    """The plan of all `rules` but those whose ids are in `without`. Raises UsageError for an id that no rule has."""
    given = {rule_id(rule): rule for rule in rules}  # a later rule of the same name replaces an earlier one
    for name in without:
        if name not in given:
            near = meant(name, given)
            raise UsageError(
                f"{name!r} is the id of no redaction rule",
                why=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(given)}",
            )
    chosen = [rule for name, rule in given.items() if name not in set(without)]
    foreign = [each for rule in chosen if (each := getattr(rule, "placeholder", None))]
    for each in foreign:
        if not each.isascii():
            raise UsageError(f"the placeholder {each!r} is not ASCII", why="a URL and a header would spell it differently")
    return Plan(
        headers={rule.name.lower(): _named(rule) for rule in chosen if isinstance(rule, Header)},
        query={rule.name: _named(rule) for rule in chosen if isinstance(rule, Query)},
        form={rule.name: _named(rule) for rule in chosen if isinstance(rule, Form)},
        json=tuple((jsonpath.parse(rule.name), _named(rule)) for rule in chosen if isinstance(rule, Json)),
        paths=tuple((re.compile(rule.expression), _named(rule)) for rule in chosen if isinstance(rule, Path)),
        by_name=frozenset(rule.place for rule in chosen if isinstance(rule, ByName)),
        userinfo=any(isinstance(rule, UserInfo) for rule in chosen),
        shapes=tuple(rule.name for rule in chosen if isinstance(rule, Shape)),
        patterns=tuple(
            (rule.value, _named(rule)) for rule in chosen if isinstance(rule, Value) and not isinstance(rule.value, str)
        ),
        values=_values(chosen, environ),
        protected=re.compile("|".join([protected, *(re.escape(each) for each in foreign)])),
        functions=tuple(rule for rule in chosen if callable(rule)),
    )


def _named(rule: Header | Query | Form | Json | Path | Value | Env) -> str:
    name = rule.name.rpartition(".")[2] if isinstance(rule, Json) else rule.name
    return rule.placeholder or placeholder(name)


def _values(rules: Iterable[Rule], environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in rules:
        if isinstance(rule, Value) and isinstance(rule.value, str) and rule.value:
            found[rule.value] = _named(rule)
        elif isinstance(rule, Env) and environ.get(rule.name):
            found[environ[rule.name]] = _named(rule)
    if any(rule == ByName("env") for rule in rules):
        for name, value in environ.items():
            if len(value) >= LONG and is_secret_variable(name) and not value.startswith(("/", "./", "~")):
                found.setdefault(value, placeholder(name))
            password = _USERINFO.search(value)
            if password and worth_collecting(password[1]):
                found.setdefault(password[1], placeholder(f"{name}-password"))
    return found
