"""Secrets taken out of requests and answers before anything is written, or compared.

One redacted form serves both: a request is matched as it would be stored. Sensitive positions come first (what stands
there is a secret whatever it looks like), then values: those met in a sensitive position, those of the environment, and
those that look like a secret by themselves. A body in which nothing is found keeps every byte; where something is, no
byte but the secret's changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from respool.cassette import codings
from respool.cassette.model import PLACEHOLDER, Chunk, Failure, Headers, Interaction, Request, Response
from respool.cassette.redaction.edits import Edit, applied, moved
from respool.cassette.redaction.known_values import KnownValues
from respool.cassette.redaction.quick_look import is_harmless, is_harmless_header, is_harmless_url
from respool.cassette.redaction.rules import (
    DEFAULT,
    ByName,
    Env,
    Form,
    Function,
    Header,
    Json,
    Path,
    Query,
    Rule,
    Shape,
    UserInfo,
    Value,
    plan,
    rule_id,
)
from respool.cassette.redaction.secret_shapes import JWT_PLACEHOLDER
from respool.cassette.redaction.secret_values import Values
from respool.cassette.redaction.sensitive_positions import Positions

__all__ = [
    "DEFAULT", "ByName", "Env", "Form", "Function", "Header", "Json", "Path", "Query", "Redaction", "Rule", "Shape",
    "UserInfo", "Value", "rule_id",
]  # fmt: skip

_PASSES = 6  # until nothing changes any more; two are enough unless secrets stand encoded in each other
_MEMO, _MEMO_SIZE = 4096, 8192
_PROTECTED = f"{JWT_PLACEHOLDER.pattern}|{PLACEHOLDER.pattern}"
_Given = TypeVar("_Given")
_Found = TypeVar("_Found")
_GZIP = b"\x1f\x8b"


_Added = tuple[tuple[str, str], ...]


class _Memo:
    """What parts of requests came to while the known values were those of `version`.

    Cassettes under one set of rules begin with the same one. A request that makes values known is kept `whole` with them,
    and leads to the memo `after` it, so that the thousandth test that sends the same token pays no more than the second.
    """

    __slots__ = ("after", "bodies", "headers", "pairs", "urls", "version", "whole")

    def __init__(self, version: int) -> None:
        self.version = version
        self.urls: dict[str, str] = {}
        self.pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self.headers: dict[Headers, tuple[Headers, bool]] = {}  # and whether the body is encoded
        self.bodies: dict[bytes, bytes] = {}
        self.whole: dict[Request, tuple[Request, _Added]] = {}
        self.after: dict[_Added, _Memo] = {}


class Redaction:
    """Rules at work on one cassette. It gathers the secrets it meets, so each cassette has a `fresh` one.

    `rules` are those of DEFAULT, further ones behind them; `without` names the ids of rules that are switched off.
    `environ` is a snapshot of the environment. Raises UsageError for an unknown id or a path that is none.

    >>> Redaction().request(Request("GET", "https://a/?api_key=k3y&b=1")).url
    'https://a/?api_key=__redacted_api_key__&b=1'
    """

    def __init__(
        self, rules: Iterable[Rule] = DEFAULT, environ: Mapping[str, str] | None = None, without: Iterable[str] = ()
    ) -> None:
        self._plan = given = plan(rules, without, environ or {}, _PROTECTED)
        # The quick look knows the default rules only.
        self._special = bool(given.json or given.form or given.query or given.paths or given.patterns)
        self._start = KnownValues(given.values)
        self._settle(_Memo(self._start.version))

    def _settle(self, memo: _Memo) -> None:
        self._known = self._start.copy()
        self._memo = self._shared = memo
        self._finders: dict[bool, tuple[Positions, Values]] = {}

    def fresh(self) -> Redaction:
        """The same rules for another cassette, knowing none of the secrets met so far. Costs microseconds."""
        twin = object.__new__(type(self))
        twin._plan, twin._special, twin._start = self._plan, self._special, self._start
        twin._settle(self._shared)
        return twin

    def _looking(self, *, answer: bool) -> tuple[Positions, Values]:
        """What finds by position, and by value; made for the first text in which the quick look saw something."""
        found = self._finders.get(answer)
        if found is None:
            values = Values(self._plan, self._known, answer=answer)
            positions = Positions(self._plan, self._known, answer=answer, inside=values.text)
            found = self._finders.setdefault(answer, (positions, values))
        return found

    @property
    def secrets(self) -> frozenset[str]:
        """The values that are known: from the environment, from rules, and from sensitive positions met so far."""
        return self._known.texts()

    def request(self, request: Request) -> Request:
        """The form in which a request is stored and compared; the very same object if nothing is sensitive.

        redact(redact(x)) == redact(x).
        """
        if self._plan.functions:
            request = self._ran(Interaction(request, Response(0))).request
        method, url, headers, body = request
        memo = self._memo
        if memo.version != self._known.version:
            self._memo = memo = _Memo(self._known.version)
        new_url = memo.urls.get(url) or self._quick_url(url)
        new_headers, encoded = memo.headers.get(headers) or self._quick_headers(headers)
        new_body: bytes | None = body
        if body:
            new_body = memo.bodies.get(body, body) if encoded else memo.bodies.get(body) or self._quick_body(body)
        if new_url is None or new_headers is None or new_body is None or (encoded and body):
            return self._remembered(request)
        if len(new_body) != len(body):
            new_headers = _with_length(new_headers, len(body), len(new_body))
        if new_url is url and new_headers is headers and new_body is body:
            return request
        return Request(method, new_url, new_headers, new_body)

    def interaction(self, interaction: Interaction) -> Interaction:
        """The form in which a request and its answer are stored; secrets of the one are found in the other, too."""
        request, response, at, seconds = self._ran(interaction)
        for _ in range(_PASSES):
            version = self._known.version
            cleaned = self._located(request), self._answer_located(response)
            cleaned = self._valued(cleaned[0]), self._answer_valued(cleaned[1])
            if cleaned == (request, response) and version == self._known.version:
                break
            request, response = cleaned
        return Interaction(request, response, at, seconds)

    def _ran(self, interaction: Interaction) -> Interaction:
        for function in self._plan.functions:
            interaction = function(interaction)
        return interaction

    def _remembered(self, request: Request) -> Request:
        memo, known = self._memo, self._known
        told = memo.whole.get(request)
        if told is None:
            version = known.version
            found = self._until_nothing_changes(request)
            told = (found, known.since(version))
            _keep(memo.whole, request, told, len(request.body))
        found, added = told
        if added:
            for value, placeholder in added:
                known.add(value, placeholder)
            # Its version is what these values alone lead to: if another thread has added some, nobody will use it here.
            self._memo = memo = memo.after.get(added) or _keep(memo.after, added, _Memo(memo.version + len(added)), 0)
        self._keep_parts(memo, request, found)
        return found

    def _until_nothing_changes(self, request: Request) -> Request:
        for _ in range(_PASSES):
            version = self._known.version
            cleaned = self._valued(self._located(request))
            if cleaned == request and version == self._known.version:
                break
            request = cleaned
        return request

    def _keep_parts(self, memo: _Memo, request: Request, found: Request) -> None:
        _keep(memo.urls, request.url, found.url, len(request.url))
        for pair, cleaned in zip(request.headers, found.headers, strict=True):
            if pair[0].lower() != "content-length":
                _keep(memo.pairs, pair, cleaned, len(pair[1]))
        if request.body and not codings.listed(request.headers):
            _keep(memo.bodies, request.body, found.body, len(request.body))

    def _quick_url(self, url: str) -> str | None:
        if self._special or not is_harmless_url(url) or self._known.occurs(url):
            return None
        return _keep(self._memo.urls, url, url, len(url))

    def _quick_headers(self, headers: Headers) -> tuple[Headers | None, bool]:
        pairs, named = self._memo.pairs, self._plan.headers
        found = []
        for pair in headers:
            new = pairs.get(pair)
            if new is None:
                name, value = pair
                if name.lower() in named or not is_harmless_header(name, value) or self._known.occurs(value):
                    return None, False
                new = _keep(pairs, pair, pair, len(value))
            found.append(new)
        cleaned = tuple(found)
        told = (headers if cleaned == headers else cleaned, bool(codings.listed(headers)))
        return _keep(self._memo.headers, headers, told, sum(len(value) for _, value in headers))

    def _quick_body(self, body: bytes) -> bytes | None:
        # What the tape holds comes here first, so the same body from the wire finds itself in the memo.
        return _keep(self._memo.bodies, body, body, len(body)) if self._nothing_in(body) else None

    def _nothing_in(self, body: bytes) -> bool:
        return not self._special and is_harmless(body) and not self._known.occurs(body.decode("latin-1"))

    def _located(self, request: Request) -> Request:
        positions, _ = self._looking(answer=False)
        body = request.body
        if body and not self._nothing_in(body):
            body, _ = self._body(body, request.headers, positions, ())
        headers = _with_length(positions.headers(request.headers), len(request.body), len(body))
        return Request(request.method, positions.url(request.url), headers, body)

    def _valued(self, request: Request) -> Request:
        _, values = self._looking(answer=False)
        body = request.body
        if body and not self._nothing_in(body):
            body, _ = self._body(body, request.headers, values, ())
        headers = _with_length(_each(request.headers, values), len(request.body), len(body))
        return Request(request.method, values.text(request.url), headers, body)

    def _answer_located(self, response: Response | Failure) -> Response | Failure:
        positions, _ = self._looking(answer=True)
        if isinstance(response, Failure):
            return response._replace(message=positions.text(response.message))
        return self._answer(response, positions, positions.headers(response.headers))

    def _answer_valued(self, response: Response | Failure) -> Response | Failure:
        _, values = self._looking(answer=True)
        if isinstance(response, Failure):
            return response._replace(message=values.text(response.message))
        return self._answer(response, values, _each(response.headers, values))

    def _answer(self, response: Response, finder: Positions | Values, headers: Headers) -> Response:
        body, chunks = response.body, response.chunks
        if body and not self._nothing_in(body):
            body, chunks = self._body(body, () if response.codings else response.headers, finder, chunks)
        if body != response.body and not response.codings:  # else playback puts the codings on, and then the length
            headers = _with_length(headers, len(response.body), len(body))
        return response._replace(headers=headers, body=body, chunks=chunks)

    def _body(
        self, body: bytes, headers: Headers, finder: Positions | Values, chunks: tuple[Chunk, ...]
    ) -> tuple[bytes, tuple[Chunk, ...]]:
        wrapped = codings.listed(headers) or (("gzip",) if body.startswith(_GZIP) else ())
        plain = codings.decode(body, wrapped) if wrapped else None
        if plain is not None:
            cleaned = self._body(plain, (), finder, ())[0]
            if cleaned == plain:
                return body, chunks
            packed = codings.encode(cleaned, wrapped)
            return packed, _stretched(chunks, len(packed))
        # Other tools keep Content-Encoding with a body that is decoded already: what is not encoded is read as it is.
        if b"\0" in body[:1024] and isinstance(finder, Positions):
            return body, chunks  # no text; known values are looked for all the same
        text = body.decode("latin-1")
        edits = finder.edits(text)
        if not edits:
            return body, chunks
        return applied(text, edits).encode("latin-1"), _shifted(chunks, edits)


def _each(headers: Headers, values: Values) -> Headers:
    changed = tuple((name, values.text(value)) for name, value in headers)
    return headers if changed == headers else changed


def _with_length(headers: Headers, before: int, after: int) -> Headers:
    """Content-Length follows a body that grew or shrank; one that had not told the length to begin with stays."""
    if before == after:
        return headers
    return tuple(
        (name, str(after) if name.lower() == "content-length" and value.strip() == str(before) else value)
        for name, value in headers
    )


def _shifted(chunks: tuple[Chunk, ...], edits: list[Edit]) -> tuple[Chunk, ...]:
    ends: list[int] = []
    for chunk in chunks:
        ends.append(chunk.size + (ends[-1] if ends else 0))
    starts = [0, *moved(ends, edits)]
    return tuple(
        Chunk(end - start, chunk.after) for chunk, start, end in zip(chunks, starts, starts[1:], strict=False)
    )


def _stretched(chunks: tuple[Chunk, ...], size: int) -> tuple[Chunk, ...]:
    """Chunks of a body that was packed anew: their edges mean nothing any more, their number and timing do."""
    if not chunks:
        return chunks
    share = size // len(chunks)
    sizes = [share] * (len(chunks) - 1)
    return tuple(Chunk(part, chunk.after) for part, chunk in zip([*sizes, size - sum(sizes)], chunks, strict=True))


def _keep(memo: dict[_Given, _Found], given: _Given, found: _Found, size: int) -> _Found:
    if size <= _MEMO_SIZE:
        if len(memo) >= _MEMO:
            memo.clear()
        memo[given] = found
    return found
