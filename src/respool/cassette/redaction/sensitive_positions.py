"""Where a secret stands by its position: headers, cookies, parameters, fields, user and password in URLs.

What is found is replaced, and remembered where it is peculiar enough to be the same secret elsewhere. In a request a
sensitive position always gets the placeholder of its name, whatever stood there: the real key, a dummy in its stead, or
another tool's placeholder. So the three are the same request.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

from respool.cassette import bodies, jsonpath
from respool.cassette.model import PLACEHOLDER, Headers
from respool.cassette.model import placeholder as spelled
from respool.cassette.redaction.edits import Edit, apart, applied
from respool.cassette.redaction.json_text import Leaf, Leaves, decoded, encoded
from respool.cassette.redaction.known_values import KnownValues
from respool.cassette.redaction.rules import Plan
from respool.cassette.redaction.secret_shapes import in_shape_of, is_prose, looks_made_up, looks_random, worth_collecting
from respool.cassette.redaction.sensitive_names import Grade, grade
from respool.cassette.urls import decoded as parameter

_SCHEME = re.compile(
    r"\s*((?:bearer|basic|token|digest|negotiate|ntlm|api-?key|key|bot|oauth|googlelogin|signature|sharedkey(?:lite)?|genie-?key|"
    r"aws|aws4-hmac-sha256|hmac[a-z0-9-]*|ssws|splunk|tok|klaviyo-api-key)\s+)(\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_RULED_BY = {"link": "query"}
_NOTHING = frozenset(("true", "false", "null", "none", "undefined", "0", "1"))
_PAIR = re.compile(r"(?<![^&])([^=&]+)=([^&]*)")
_IN_TEXT = re.compile(r"[?&#](?:amp;)?([A-Za-z0-9_.\[\]%-]{1,64})=([^\s&\"'<>#;\\]+)")
_ELEMENT = re.compile(r"<([A-Za-z_][A-Za-z0-9_:.-]{0,63})(?:\s[^<>]{0,200})?>([^<>]{1,8192})</")
_USERINFO = re.compile(r"(?<=://)([^\s/?#\"'<>@\\]{1,256})@")
_LINE = re.compile(r"^(?:data: ?)?([{\[].*)", re.MULTILINE)
_BASE64 = re.compile(r"(data:[a-z0-9/+.;=-]{0,100},)?([A-Za-z0-9+/_-]{16,}={0,2})\s*")
# Made anew for every request: nobody meets them again elsewhere, and there would be no end to remembering them.
_PER_REQUEST = re.compile(r"(?i)sig(?:nature)?$|nonce|assertion|verifier|x-amz-credential")
_NUMERIC_SECRET = re.compile(r"(?i)pass|pwd|secret|otp")
_NEST = 4  # texts inside texts inside texts are looked into so deep

Deeper = Callable[[str], str]
placeholder = lru_cache(maxsize=1024)(spelled)


class Positions:
    """Finds and replaces by position; `known` gathers the values. `answer`: what a server said, not what it was asked.

    `inside` cleans a text that stands encoded inside another one, by every rule.
    """

    def __init__(self, plan: Plan, known: KnownValues, *, answer: bool, inside: Deeper | None = None, nest: int = 0) -> None:
        self.plan = plan
        self.known = known
        self.answer = answer
        self.inside = inside or self.text
        self.nest = nest

    def url(self, url: str) -> str:
        """The URL with its user, password, and sensitive parameters replaced; every other byte as it was."""
        edits: list[Edit] = []
        address, _, fragment = url.partition("#")
        head, _, query = address.partition("?")
        scheme, _, rest = head.partition("://")
        authority = rest.partition("/")[0]
        if self.plan.userinfo and "@" in authority:
            edits += self._user(authority.rpartition("@")[0], len(scheme) + 3)
        for pattern, new in self.plan.paths:
            group = 1 if pattern.groups else 0
            found = pattern.finditer(head, len(scheme) + 3 + len(authority))
            edits += (Edit(*match.span(group), new) for match in found if match[group])
        if query:
            edits += self.pairs(query, "query", len(head) + 1)
        if fragment:
            edits += self.pairs(fragment, "query", len(address) + 1)
        return applied(url, apart(edits)) if edits else url

    def headers(self, headers: Headers) -> Headers:
        """The headers with the sensitive values replaced; the very same object if there were none."""
        changed = tuple((name, self._header(name, value)) for name, value in headers)
        return headers if changed == headers else changed

    def text(self, text: str, *, form: bool = True) -> str:
        """A text of any kind (a body, or what stands encoded in one) with its sensitive positions replaced."""
        return applied(text, self.edits(text, form=form))

    def edits(self, text: str, *, form: bool = True) -> list[Edit]:
        """What to replace in a text, in order and apart; `form`: it may be one."""
        if self.nest > _NEST or not text:
            return []
        first = text[:64].lstrip()[:1]
        if text.startswith("--") and (parts := bodies.multipart(text.encode("latin-1", "replace"))):
            return apart(edit for part in parts for edit in self._part(part))
        found: list[Edit] = []
        at = 0
        if first in ("{", "["):
            leaves = Leaves(text, places=bool(self.plan.json))
            found += self._json(leaves)
            at = leaves.end
        if at < len(text):
            found += self._plain(text, at, form)
        return apart(found)

    def pairs(self, text: str, place: str, start: int = 0) -> Iterator[Edit]:
        """What to replace in a query or a form that begins at `start`."""
        rules = self.plan.query if place == "query" else self.plan.form
        for found in _PAIR.finditer(text):
            new = self._parameter(found[1], found[2], place, rules)
            if new is not None and new != found[2]:
                yield Edit(start + found.start(2), start + found.end(2), new)

    def _parameter(self, name: str, value: str, place: str, rules: Mapping[str, str]) -> str | None:
        """What is to stand for a value of a query or a form, in the spelling of a URL; None if it may stay."""
        if not value:
            return None
        name, plain = parameter(name), parameter(value)
        new = self._by_name(name, plain, place, rules.get(name))
        if new is None and len(value) > 8 and ("%" in value or "@" in value or "=" in value or len(value) > 24):
            cleaned = self._nested(plain)
            new = quote(cleaned, safe="-._~/:@!$,*()") if cleaned != plain else None
        return new

    def _by_name(self, name: str, value: str, place: str, explicit: str | None = None) -> str | None:
        """What is to stand for the value under this name, None if it may stay. Remembers the value."""
        if explicit is None:
            how = grade(name, place) if _RULED_BY.get(place, place) in self.plan.by_name else Grade.NEUTRAL
            if how is Grade.NEUTRAL or not self._replaceable(value, how):
                return None
        new = explicit or placeholder(name)
        if self.answer:
            new = in_shape_of(value, new)
        if new != value and not _PER_REQUEST.search(name):
            self._remember(value, new)
        return new

    def _remember(self, value: str, new: str) -> None:
        if worth_collecting(value) and " " not in value.strip() and not self.plan.protected.search(value):
            self.known.add(value, new)

    def _replaceable(self, value: str, how: Grade) -> bool:
        if how is Grade.WEAK and not PLACEHOLDER.search(value):
            return looks_random(value) or (not self.answer and looks_made_up(value))
        if not self.answer:
            return True
        return not (value.lower() in _NOTHING or value.startswith(("http://", "https://")) or is_prose(value))

    def _header(self, name: str, value: str) -> str:
        low = name.lower()
        explicit = self.plan.headers.get(low)
        if explicit is None and ("header" not in self.plan.by_name or grade(name, "header") is Grade.NEUTRAL):
            return self._nested(value, form=False)  # directives of a policy look like one
        if not value.strip():
            return value
        if low == "cookie":
            return "; ".join(self._cookie(pair.strip()) for pair in value.split(";"))
        if low == "set-cookie":
            pair, mark, attributes = value.partition(";")
            return self._cookie(pair) + mark + attributes
        scheme = _SCHEME.fullmatch(value)
        word, secret = (scheme[1], scheme[2]) if scheme else ("", value)
        new = self._by_name(name, secret, "header", explicit)
        if new is None:
            return value
        if word.strip().lower() == "basic":
            self._basic(secret, new)
        return word + new

    def _cookie(self, pair: str) -> str:
        name, mark, value = pair.partition("=")
        bare = value.strip().strip('"')
        if not mark or not bare:
            return pair
        new = placeholder(name)
        if bare != new and looks_random(bare):
            self.known.add(bare, new)
        return f"{name}={new}"

    def _basic(self, credentials: str, new: str) -> None:
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return
        for value in (password, user):
            if worth_collecting(value) and (value is password or looks_random(value) or not password):
                self.known.add(value, new)

    def _user(self, userinfo: str, start: int) -> Iterator[Edit]:
        new = placeholder("userinfo")
        if not userinfo or userinfo == new:
            return
        user, _, password = userinfo.partition(":")
        for value, secret in ((unquote(password), True), (unquote(user), False)):
            if worth_collecting(value) and (secret or looks_random(value)):
                self.known.add(value, new)
        yield Edit(start, start + len(userinfo), new)

    def _json(self, leaves: Leaves) -> Iterator[Edit]:
        for leaf in leaves:
            new = self._leaf(leaf)
            if new is not None and new != leaf.raw:
                yield Edit(leaf.start, leaf.end, new)

    def _leaf(self, leaf: Leaf) -> str | None:
        explicit = next((new for steps, new in self.plan.json if jsonpath.covers(steps, leaf.place)), None)
        if not leaf.quoted:
            named = "json" in self.plan.by_name and len(leaf.raw) > 3 and _NUMERIC_SECRET.search(leaf.name)
            return "0" if explicit or (named and grade(leaf.name, "json") is Grade.STRONG) else None
        if not leaf.raw:
            return None
        value = decoded(leaf.raw)
        new = self._by_name(leaf.name, value, "json", explicit)
        if new is not None:
            return encoded(new, leaf.raw) if not new.isascii() or '"' in new or "\\" in new else new
        if len(value) > 8:
            cleaned = self._nested(value)
            if cleaned != value:
                return encoded(cleaned, leaf.raw)
        return None

    def _part(self, part: bodies.Part) -> list[Edit]:
        content = part.content.decode("latin-1")
        new = self._by_name(part.name, content, "form", self.plan.form.get(part.name)) if len(content) < 16_384 else None
        if new is not None:
            return [Edit(part.start, part.start + len(content), new)] if new != content else []
        return [Edit(part.start + start, part.start + end, text) for start, end, text in self.edits(content)]

    def _plain(self, text: str, at: int, form: bool) -> Iterator[Edit]:
        """A text that is no JSON from `at` on: a form, lines of JSON (an event stream), XML, anything with URLs in it."""
        if at == 0:
            if _BASE64.fullmatch(text):
                cleaned = self._nested(text)
                if cleaned != text:
                    yield Edit(0, len(text), cleaned)
                return
            if form and bodies.form(text.encode("latin-1", "replace")) is not None:
                yield from self.pairs(text, "form")
                return
        for line in _LINE.finditer(text, at):
            leaves = Leaves(line[1], places=bool(self.plan.json))
            yield from (Edit(line.start(1) + start, line.start(1) + end, new) for start, end, new in self._json(leaves))
        if self.plan.userinfo and "://" in text and "@" in text:
            for user in _USERINFO.finditer(text, at):
                yield from self._user(user[1], user.start(1))
        if "=" in text:
            for pair in _IN_TEXT.finditer(text, at):
                new = self._parameter(pair[1], pair[2], "link", self.plan.query)
                if new is not None and new != pair[2]:
                    yield Edit(pair.start(2), pair.end(2), new)
        if "</" in text:
            for element in _ELEMENT.finditer(text, at):
                new = self._by_name(element[1].rpartition(":")[2], element[2], "xml") if element[2].strip() else None
                if new is not None and new != element[2]:
                    yield Edit(element.start(2), element.end(2), new)

    def _nested(self, value: str, *, form: bool = True) -> str:
        """A value that may hold a text in itself: JSON, a URL, or base64 of one."""
        if self.nest >= _NEST:
            return value
        deeper = Positions(self.plan, self.known, answer=self.answer, inside=self.inside, nest=self.nest + 1)
        found = _BASE64.fullmatch(value)
        if not found:
            return deeper.text(value, form=form)
        plain = _printable(found[2])
        if plain is None:
            return value
        cleaned = self.inside(deeper.text(plain))
        if cleaned == plain:
            return value
        new = base64.b64encode(cleaned.encode("latin-1")).decode()
        if "-" in found[2] or "_" in found[2]:
            new = new.replace("+", "-").replace("/", "_")
        return (found[1] or "") + (new if found[2].endswith("=") or len(plain) % 3 == 0 else new.rstrip("="))


def _printable(text: str) -> str | None:
    """What base64 holds, as latin-1, if that is a text."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        return None
    data = base64.b64decode(plain + "=" * (-len(plain) % 4))
    try:
        readable = data.decode("utf-8").replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        return None
    return data.decode("latin-1") if readable else None
