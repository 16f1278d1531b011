"""What secrets look like where no name gives them away: the shapes of makers' keys, JWTs, private keys, random texts.

These are the redactor's. The leak check has a list of its own, written apart, so that one blind spot is not two.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from respool.cassette.model import PLACEHOLDER

_T = "[A-Za-z0-9_-]"
# No shape starts inside a word; an escape of JSON or of a URL ends a word.
_START = rf"(?:(?<!{_T})|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{{4}})|(?<=%[0-9a-fA-F]{{2}}))"


class Clue(NamedTuple):
    """A fixed text that is quick to find, and the expression that then matches `skip` characters behind its start.

    Expressions are compiled when a text first holds their clue: most programs never need one.
    """

    text: str
    skip: int
    expression: str


def _starting(*shapes: tuple[str, str]) -> tuple[Clue, ...]:
    """Shapes that begin with one of some fixed texts (separated by blanks), and go on as the expression says."""
    pairs = [(text, rest) for texts, rest in shapes for text in texts.split()]
    return tuple(Clue(text, 0, _START + re.escape(text) + rest) for text, rest in pairs)


def _behind(text: str, rest: str) -> tuple[Clue, ...]:
    return (Clue(text, len(text), rest),)


SHAPES: dict[str, tuple[Clue, ...]] = {
    "openai": _starting(("sk-", rf"{_T}{{20,}}")),  # and Anthropic, OpenRouter, DeepSeek, ...
    "google": _starting(("AIza", rf"{_T}{{35}}"), ("ya29. GOCSPX-", rf"{_T}{{20,}}"), ("1//0", rf"{_T}{{40,}}")),
    "aws": _starting(("AKIA ASIA ABIA ACCA", r"[A-Z2-7]{16}(?![A-Za-z0-9])")),
    "github": _starting(("ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,}"), ("github_pat_", r"[A-Za-z0-9_]{50,}")),
    "gitlab": _starting(("glpat- glptt- gldt- glrt- glcbt-", rf"{_T}{{20,}}")),
    "slack": _starting(("xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", rf"{_T}{{20,}}")),
    "slack-hook": _behind("hooks.slack.com/services/", r"[A-Za-z0-9/]{20,}"),
    "stripe": _starting(("sk_live_ sk_test_ rk_live_ rk_test_", r"[A-Za-z0-9]{16,}"), ("whsec_", r"[A-Za-z0-9+/=]{24,}")),
    "npm": _starting(("npm_", r"[A-Za-z0-9]{36}")),
    "pypi": _starting(("pypi-A", rf"{_T}{{50,}}")),
    "sendgrid": _starting(("SG.", rf"{_T}{{16,32}}\.{_T}{{32,64}}")),
    "twilio": _starting(("SK", r"[0-9a-f]{32}(?![A-Za-z0-9])")),
    "telegram": _behind("/bot", rf"\d{{8,10}}:{_T}{{30,40}}"),
    "huggingface": _starting(("hf_", r"[A-Za-z0-9]{30,}")),
    "models": _starting(("gsk_ xai- r8_ pplx- nvapi- tvly- fw_", rf"{_T}{{24,}}")),
    "hosting": _starting(
        ("dop_v1_ dapi shpat_ shpca_ shppa_ shpss_ key-", r"[0-9a-f]{32,64}"), ("dckr_pat_ hvs. figd_", rf"{_T}{{20,}}"),
        ("lin_api_ ntn_", r"[A-Za-z0-9]{32,}"),
    ),
    "jwt": _starting(("eyJ", rf"{_T}{{8,}}\.(?:eyJ{_T}{{4,}}\.{_T}{{8,}}|{_T}*\.{_T}+\.{_T}+\.{_T}{{8,}})")),
    "bearer": _behind("earer ", r"[A-Za-z0-9._~+/-]{20,}=*"),
    "private-key": (
        Clue("-----BEGIN ", 0, r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
                               r"[^-]*(?:-(?!----)[^-]*)*(?:-----END [A-Z0-9 ]{0,40}-----)?"),
    ),
}  # fmt: skip
"""What makers' keys and the like look like. A name is the part of a rule's id behind "value:"."""

LOOSE = frozenset(("openai", "models", "bearer"))
"""Shapes that ordinary words may have too: what matches must also look random."""

_RUNS = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PIECES = re.compile(r"[A-Za-z0-9]+")
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_.~+/=:%|-]{16,}")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?|\d+(?:\.\d+){1,3}")
_FILLING = re.compile(r"[<\[{(].{1,60}[>\]})]|([*x.X])\1{2,}|-+")
_WORD = re.compile(r"[A-Za-z]+|\d+")
_MADE_UP = frozenset((
    "test", "testing", "dummy", "fake", "mock", "example", "sample", "placeholder", "redacted", "scrubbed", "filtered",
    "secret", "none", "foo", "bar", "xxx", "key", "token", "your", "my", "some", "sanitized", "hidden", "apikey", "password",
))  # fmt: skip
_JWT = re.compile(rf"({_T}{{4,}})\.({_T}*)\.({_T}*)")
_JWT_HEAD = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
_TIMES = ("exp", "iat", "nbf")
JWT_PLACEHOLDER = re.compile(rf"{_JWT_HEAD}\.{_T}+\.{PLACEHOLDER.pattern}")


_compiled = lru_cache(maxsize=None)(re.compile)


def shaped(text: str, name: str) -> Iterator[re.Match[str]]:
    """Where the shape `name` stands in a text, in time that grows with the text only.

    >>> [found.span() for found in shaped("it is AKIA" + "A2B3" * 4, "aws")]
    [(6, 26)]
    """
    for text_of_clue, skip, expression in SHAPES[name]:
        at = text.find(text_of_clue)
        while at >= 0:
            found = _compiled(expression).match(text, at + skip)
            if found and (name not in LOOSE or looks_random(found[0])):
                yield found
            at = text.find(text_of_clue, found.end() if found else at + 1)


def looks_random(value: str) -> bool:
    """Whether a text looks as if a machine had drawn it: long, one word, kinds of characters changing all the time.

    >>> looks_random("3f2504e04f8911d39a0c0305e82c3301"), looks_random("gpt-4o-mini-2024-07-18")
    (True, False)
    """
    if not _TOKEN_LIKE.fullmatch(value) or _STAMP.fullmatch(value) or "://" in value:
        return False
    if _UUID.fullmatch(value):
        return True
    changes = len(_RUNS.findall(value)) - len(_PIECES.findall(value))  # those at a separator do not count
    return len(value) > 400 or changes >= 0.2 * len(value)


def looks_made_up(value: str) -> bool:
    """Whether a text is what people write in a secret's stead: "test-key", "REDACTED", "<TOKEN>".

    >>> looks_made_up("dummy"), looks_made_up("PROJ-1")
    (True, False)
    """
    if len(value) > 64 or looks_random(value):
        return False
    return _FILLING.fullmatch(value) is not None or any(word.lower() in _MADE_UP for word in _WORD.findall(value))


def worth_collecting(value: str) -> bool:
    """Whether a value from a sensitive position is so peculiar that the same text elsewhere is the same secret.

    >>> worth_collecting("s3cr3t-pa55"), worth_collecting("password"), worth_collecting("2024-01-01T00:00:00Z")
    (True, False, False)
    """
    if len(value) < 8 or _STAMP.fullmatch(value) or PLACEHOLDER.search(value) or value.isspace():
        return False
    if len(value) >= 20:
        return True
    digits = sum(character.isdigit() for character in value)
    return 0 < digits < len(value) or (digits >= 12)


def is_prose(value: str) -> bool:
    """Whether a text is a sentence for people ("This field is required."), which may stand under "password" too."""
    return value.count(" ") >= 2 and not looks_random(max(value.split(), key=len))


def in_shape_of(value: str, placeholder: str) -> str:
    """`placeholder`, as a JWT if `value` is one: no signature, no claims but its times, so that clients can read it.

    >>> in_shape_of("opaque", "__redacted_x__")
    '__redacted_x__'
    """
    found = _JWT.fullmatch(value)
    if not found or not value.startswith("eyJ"):
        return placeholder
    head, claims = _object(found[1]), _object(found[2])
    if head is None or claims is None:
        return placeholder
    times = {name: claims[name] for name in _TIMES if type(claims.get(name)) in (int, float)}
    payload = base64.urlsafe_b64encode(json.dumps(times, separators=(",", ":")).encode()).rstrip(b"=").decode()
    return f"{_JWT_HEAD}.{payload}.{placeholder}"


def _object(segment: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
