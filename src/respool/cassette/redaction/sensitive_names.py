"""Which names of headers, parameters and fields mean a secret, and which only sound like it.

`max_tokens` is a number of words, `next_page_token` a place in a list, `primary_key` a column: the last words decide.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache


class Grade(IntEnum):
    """NEUTRAL: no secret. WEAK: one if its value looks like one ("key", "token"). STRONG: whatever stands there."""

    NEUTRAL = 0
    WEAK = 1
    STRONG = 2


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_JOINED = {
    words.replace(" ", ""): words.split()
    for words in (
        "api key", "api keys", "access key", "access key id", "secret access key", "access token", "auth token",
        "oauth token",
        "bearer token", "id token", "refresh token", "session id", "session key", "session token", "client secret",
        "app secret", "secret key", "private key", "auth key", "app key", "subscription key", "csrf token", "xsrf token",
        "page token", "next token", "license key", "consumer key", "security token", "web token",
        "my token",
    )
}  # fmt: skip
_JOINED |= {name: ["session", "id"] for name in ("phpsessid", "jsessionid", "sessid")}
_JOINED["csrfmiddlewaretoken"] = ["csrf", "token"]

# What stands last and says that the value is only about a secret.
_FACETS = _set(
    "name names url uri type types policy expires expiry expiration expire age at date time ttl in count length limit size"
    " status state enabled required supported hint field fields arn endpoint endpoints version method methods scheme label"
    " description format rules strength scope scopes id ids path file details usage index"
)
_ALWAYS = _set("password passwd passphrase passcode passwort pwd secret authorization credential credentials jwt")
_ALWAYS_LAST = _set("cookie cookies otp")
_OWNERS_OF_KEYS = _set(
    "api access private secret subscription auth signing encryption shared account master license licence consumer app"
    " application service functions admin session x"
)
# A token after one of these is a mark in a list, a word of a language model, or names a request.
_NO_CREDENTIAL = _set(
    "page next continuation sync cursor start end pad eos bos unk mask stop special prompt completion total max min per"
    " input output first last previous prev resume list delta position change idempotency request client image text audio"
    " reasoning cached cls sep search query word match"
)
_PARAMETERS = _set("query link form header")
_NEUTRAL_HEADERS = (
    "access-control-", "www-authenticate", "proxy-authenticate", "authentication-results", "idempotency-", "sec-websocket-",
    "surrogate-", "x-ratelimit-", "ratelimit-", "x-cache", "cache-", "content-", "accept", "public-key-",
)  # fmt: skip


@lru_cache(maxsize=8192)
def grade(name: str, place: str) -> Grade:
    """How sensitive `name` is as the name of a "header", a "query" or "form" parameter (or one of a
    "link", a URL that stands in a text), a "json" or "xml" field.

    >>> [grade(name, "json").name for name in ("apiKey", "token", "total_tokens", "next_page_token")]
    ['STRONG', 'WEAK', 'NEUTRAL', 'NEUTRAL']
    """
    if len(name) > 64 or (place == "header" and name.lower().startswith(_NEUTRAL_HEADERS)):
        return Grade.NEUTRAL
    words = [word for found in _WORD.findall(name) for word in _JOINED.get(found.lower(), [found.lower()])]
    if not words:
        return Grade.NEUTRAL
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "id" and (before in ("session", "secret") or words[-3:-1] == ["access", "key"]):
        return Grade.STRONG
    if last in _FACETS:
        return Grade.NEUTRAL
    if last in _ALWAYS_LAST or not _ALWAYS.isdisjoint(words):
        return Grade.STRONG
    return _by_last_word(last, before, place)


def _by_last_word(last: str, before: str, place: str) -> Grade:
    parameter = place in _PARAMETERS
    if last in ("key", "keys"):
        if before in _OWNERS_OF_KEYS:
            return Grade.STRONG
        # Bare, it is Google's parameter; in a body it is what a form uploads to, a pair's left side, a public key.
        return Grade.WEAK if last == "key" and (place == "header" or (place == "query" and not before)) else Grade.NEUTRAL
    if last == "token":
        if before in _NO_CREDENTIAL:
            return Grade.NEUTRAL
        return Grade.STRONG if before or parameter else Grade.WEAK
    if last == "tokens":
        return Grade.STRONG if before in ("access", "refresh", "api", "auth", "bearer") else Grade.NEUTRAL
    if last in ("signature", "sig", "assertion", "pass") and parameter:
        return Grade.STRONG
    if (before, last) in (("code", "verifier"), ("connection", "string"), ("pass", "code")):
        return Grade.STRONG
    if last in ("auth", "bearer", "dsn", "pass", "secrets") or (last == "session" and place != "header"):
        return Grade.WEAK
    parameter = place in ("query", "form")
    return Grade.WEAK if parameter and last == "code" and before in ("", "auth", "device") else Grade.NEUTRAL


_ENVIRONMENT = _set(
    "key keys token tokens secret secrets password passwd passphrase pwd pass pat credential credentials apikey dsn cookie"
)
_NO_SECRET_KEYS = _set("public gpg ssh host map primary foreign max")


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable's name says that its value is a secret.

    >>> [is_secret_variable(name) for name in ("OPENAI_API_KEY", "AWS_ACCESS_KEY_ID", "SSH_AUTH_SOCK", "TOKEN_URL")]
    [True, True, False, False]
    """
    words = [word for found in _WORD.findall(name) for word in _JOINED.get(found.lower(), [found.lower()])]
    if words[-3:] == ["access", "key", "id"]:
        return True
    return bool(words) and words[-1] in _ENVIRONMENT and _NO_SECRET_KEYS.isdisjoint(words[-2:-1])


STEMS = (
    b"token", b"key", b"secret", b"pass", b"auth", b"cred", b"sess", b"sig", b"cookie", b"jwt", b"pwd", b"bearer",
    b"otp", b"assertion", b"verifier", b"dsn", b"connection", b"code",
)  # fmt: skip
"""Every name that is not neutral holds one of these, in lower case: what has none of them need not be looked at."""
