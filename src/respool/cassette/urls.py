"""URLs taken apart and brought to one spelling, so that two clients' ways of writing the same address are equal."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Url(NamedTuple):
    """A URL's parts in their one spelling: lower-case scheme and host, the port always a number (0: unknown).

    User and password are no part of it: clients turn them into a header. `query` holds decoded pairs in their order.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: tuple[tuple[str, str], ...]


def take_apart(url: str) -> Url:
    """The parts of an absolute URL; a text that is none becomes a path without a host.

    >>> take_apart("HTTPS://me@Example.com:443/%7Eme?b=%41&a=")
    Url(scheme='https', host='example.com', port=443, path='/~me', query=(('b', 'A'), ('a', '')))
    """
    found = _URL.match(url)
    if not found:
        path, _, query = url.partition("#")[0].partition("?")
        return Url("", "", 0, _path(path), pairs(query))
    scheme = found[1].lower()
    host, port = _host_and_port(found[2].rpartition("@")[2])
    return Url(scheme, host, port or _PORTS.get(scheme, 0), _path(found[3]), pairs(found[4] or ""))


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The names and values of a query or a form, decoded, in order; bytes that are no UTF-8 stay distinct.

    >>> pairs("a=1&b&a=%7E+x")
    (('a', '1'), ('b', ''), ('a', '~ x'))
    """
    found = []
    encoded = "%" in query or "+" in query
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            found.append((decoded(name), decoded(value)) if encoded else (name, value))
    return tuple(found)


def decoded(text: str) -> str:
    """A piece of a query without its percent and plus signs."""
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _path(path: str) -> str:
    if "%" not in path:
        return path or "/"
    # An encoded slash is no separator, and an encoded percent sign starts no escape: these two stay encoded.
    segments = (unquote(segment, errors="surrogateescape") for segment in path.split("/"))
    return "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


@lru_cache(256)  # a tape has many addresses of few hosts
def _host_and_port(authority: str) -> tuple[str, int]:
    host, colon, digits = authority.rpartition(":")
    if not colon or "]" in digits:
        host, digits = authority, ""
    elif not (digits.isascii() and digits.isdigit() and len(digits) < 6) and digits:
        return authority.lower(), 0
    host = decoded(host).lower() if "%" in host and not host.startswith("[") else host.lower()
    if host.startswith("["):
        host = _compressed(host)
    elif not host.isascii():
        with suppress(UnicodeError):  # no name that DNS could hold is still the same text on both sides
            host = host.encode("idna").decode("ascii")
    return host, int(digits or 0)


def _compressed(host: str) -> str:
    from ipaddress import IPv6Address  # only here: most programs never see such a host

    try:
        return f"[{IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        return host
