"""vcrpy's mutable Request, as filters, matchers and serialisers of existing suites expect it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from io import BytesIO
from typing import Any
from urllib.parse import ParseResult, parse_qsl, urlencode, urlparse

from respool.cassette.model import Request as Ours


class HeadersDict(MutableMapping[str, Any]):
    """Headers by name without regard to case, spelled as first set; of a list only the first value counts."""

    def __init__(self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._store: dict[str, tuple[str, Any]] = {}
        for name, value in dict(data).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, (tuple, list)):
            value = value[0]
        spelled = self._store.get(name.lower(), (name,))[0]
        self._store[name.lower()] = (spelled, value)

    def __getitem__(self, name: str) -> Any:
        return self._store[name.lower()][1]

    def __delitem__(self, name: str) -> None:
        del self._store[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (spelled for spelled, _ in self._store.values())

    def __len__(self) -> int:
        return len(self._store)

    def __repr__(self) -> str:
        return repr(dict(self.items()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        mine, theirs = ({str(name).lower(): value for name, value in each.items()} for each in (self, other))
        return mine == theirs

    def copy(self) -> HeadersDict:
        """A copy that may be changed."""
        return HeadersDict(self.items())


class Request:
    """A request: `method`, `uri`, `body` (bytes, or None), `headers`, and what vcrpy derives from the URI."""

    def __init__(self, method: str, uri: str, body: Any, headers: Mapping[str, Any]) -> None:
        self.method = method
        self.uri = uri
        self._was_file = hasattr(body, "read")
        self._was_iter = not self._was_file and isinstance(body, Iterator)
        if self._was_file:
            body = body.read()
        elif self._was_iter:
            body = list(body)
        self.body = body
        self.headers = headers

    @classmethod
    def of(cls, ours: Ours) -> Request:
        """Our request in vcrpy's form: of a repeated header the first value, no body as None."""
        headers: dict[str, str] = {}
        for name, value in ours.headers:
            headers.setdefault(name, value)
        return cls(ours.method, ours.url, ours.body or None, headers)

    def ours(self) -> Ours:
        """In our form again."""
        body = self.body_bytes
        headers = tuple((name, str(value)) for name, value in self.headers.items())
        return Ours(self.method, self.uri, headers, _sent(body, self.headers))

    @property
    def uri(self) -> str:
        """The whole address."""
        return self._uri

    @uri.setter
    def uri(self, uri: str) -> None:
        self._uri = uri
        self.parsed_uri: ParseResult = urlparse(uri)

    @property
    def headers(self) -> HeadersDict:
        """By name, without regard to case."""
        return self._headers

    @headers.setter
    def headers(self, value: Mapping[str, Any]) -> None:
        self._headers = value if isinstance(value, HeadersDict) else HeadersDict(value)

    @property
    def body(self) -> Any:
        """As it was given: bytes, a file, an iterator, None."""
        if self._was_file:
            return BytesIO(self._body)
        return iter(self._body) if self._was_iter else self._body

    @body.setter
    def body(self, value: Any) -> None:
        self._body = value.encode("utf-8") if isinstance(value, str) else value

    @property
    def body_bytes(self) -> Any:
        """The whole body."""
        pieces = self._body if isinstance(self._body, list) else []
        return b"".join(pieces) if pieces and all(isinstance(each, bytes) for each in pieces) else self._body

    @property
    def scheme(self) -> str:
        """As in the URI."""
        return self.parsed_uri.scheme

    protocol = scheme

    @property
    def host(self) -> str | None:
        """In lower case."""
        return self.parsed_uri.hostname

    @property
    def port(self) -> int | None:
        """The scheme's own where the URI has none."""
        return self.parsed_uri.port or {"https": 443, "http": 80}.get(self.scheme)

    @property
    def path(self) -> str:
        """As in the URI."""
        return self.parsed_uri.path

    @property
    def query(self) -> list[tuple[str, str]]:
        """Decoded, sorted."""
        return sorted(parse_qsl(self.parsed_uri.query))

    @property
    def url(self) -> str:
        """The URI under its other name."""
        return self.uri

    def __repr__(self) -> str:
        return f"<Request ({self.method}) {self.uri}>"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a cassette of vcrpy's; persisters and serialisers use the name with an underscore."""
        return {
            "method": self.method, "uri": self.uri, "body": self.body,
            "headers": {name: [value] for name, value in self.headers.items()},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Request:
        """The request that `to_dict` wrote down."""
        return cls(**stored)

    _to_dict, _from_dict = to_dict, from_dict


def _sent(body: Any, headers: Mapping[str, Any]) -> bytes:
    """The bytes of a body. For aiohttp vcrpy keeps what the caller gave: pairs or an object for a form or for JSON."""
    if not body:
        return b""
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    form = str(headers.get("Content-Type", "")).startswith("application/x-www-form-urlencoded")
    pairs = body.items() if isinstance(body, dict) else body
    if form or (isinstance(body, list) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in body)):
        return urlencode([(str(name), str(value)) for name, value in pairs]).encode()
    return json.dumps(body, default=str).encode()
