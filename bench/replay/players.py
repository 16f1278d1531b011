"""Who answers: respool, its peers, and the limit. Each opens a tape for one client as a context manager."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.replay.limits import limit
from bench.replay.tapes import read_plain

ALL = ("requests", "urllib3", "httpx", "httpx2", "aiohttp")


@dataclass(frozen=True)
class Player:
    """`opened(path, client, session)` is the tape at `path` in play; `package` is whose version is told.

    `largest` is the largest number of interactions that it is asked to hold.
    """

    name: str
    tape: str
    clients: tuple[str, ...]
    opened: Callable[[Path, str, Any], AbstractContextManager[Any]]
    package: str = ""
    largest: int = 10_000


def _limit(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    return limit(client, read_plain(path), session)


def _respool(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    from respool import use_cassette

    return use_cassette(path)


def _vcrpy(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    import vcr

    opened: AbstractContextManager[Any] = vcr.use_cassette(str(path), record_mode="none")
    return opened


def _cassetter(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    from cassetter import use_cassette

    return use_cassette(path, record_mode="none")


def _betamax(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    from betamax import Betamax

    opened: AbstractContextManager[Any] = Betamax(session, cassette_library_dir=str(path.parent)).use_cassette(
        path.stem, record="none"
    )
    return opened


def _responses(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    import responses

    mock = responses.RequestsMock(assert_all_requests_are_fired=False)
    for each in read_plain(path):
        headers = {name: value for name, value in each.headers if name != "Content-Type"}
        mock.add("GET", each.url, body=each.body, headers=headers, content_type=each.headers[0][1])
    return mock


def _requests_mock(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    import requests_mock

    mock = requests_mock.Mocker()
    for each in read_plain(path):
        mock.get(each.url, content=each.body, headers=dict(each.headers))
    return mock


def _respx(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    import httpx
    import respx

    router: AbstractContextManager[Any] = respx.mock(assert_all_called=False)
    for each in read_plain(path):
        router.get(each.url).mock(httpx.Response(200, headers=each.headers, content=each.body))  # type: ignore[attr-defined]
    return router


def _aioresponses(path: Path, client: str, session: Any) -> AbstractContextManager[Any]:
    from aioresponses import aioresponses

    mock: Any = aioresponses()
    mock.start()  # it refuses to be told an answer before
    for each in read_plain(path):
        mock.get(each.url, body=each.body, headers=dict(each.headers))
    return _Started(mock)


class _Started(AbstractContextManager[Any]):
    def __init__(self, mock: Any) -> None:
        self._mock = mock

    def __exit__(self, *error: object) -> None:
        self._mock.stop()


PLAYERS = (
    Player("limit", "plain", ALL, _limit),
    Player("respool", "respool", ALL, _respool, "respool", 100_000),
    Player("vcrpy", "vcrpy", ALL, _vcrpy, "vcrpy"),
    Player("cassetter", "cassetter", ALL, _cassetter, "cassetter"),
    Player("betamax", "betamax", ("requests",), _betamax, "betamax"),
    Player("responses", "plain", ("requests",), _responses, "responses"),
    Player("requests_mock", "plain", ("requests",), _requests_mock, "requests-mock"),
    Player("respx", "plain", ("httpx",), _respx, "respx"),
    Player("aioresponses", "plain", ("aiohttp",), _aioresponses, "aioresponses"),
)


def player(name: str) -> Player:
    """One of them."""
    return next(each for each in PLAYERS if each.name == name)
