"""HAR, of browsers and of ours: read, and written so that the same comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import CASSETTES, with_other_values
from respool.cassette import foreign
from respool.cassette.model import Cassette, Chunk, Failure, Headers, Interaction, Request, Response
from respool.errors import CassetteUnreadable


def read(document: Any) -> Cassette:
    found = foreign.read(document if isinstance(document, bytes) else json.dumps(document).encode(), "a.har")
    assert found is not None
    return found


def entry(response: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    sent = {"method": "POST", "url": "https://a/b?q=1#top", "httpVersion": "h2", "headers": []} | request
    came = {"status": 200, "statusText": "OK", "httpVersion": "http/2.0", "headers": [], "content": {}}
    timings = {"send": 1, "wait": 120, "receive": 2}
    began = "2026-01-01T01:00:00.250+01:00"
    return {"startedDateTime": began, "time": 5, "request": sent, "response": came | (response or {}), "timings": timings}


def har(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537"}, "entries": list(entries)}}


def test_as_a_browser_writes_it() -> None:
    found = read(
        har(
            entry(
                {
                    "headers": [{"name": "content-encoding", "value": "br"}, {"name": "Content-Length", "value": "9"}],
                    "content": {"size": 4, "mimeType": "text/plain; charset=utf-8", "text": "Oslo"},
                },
                headers=[{"name": ":authority", "value": "a"}, {"name": "accept", "value": "*/*"}],
                postData={"mimeType": "text/plain", "text": "å"},
            )
        )
    )
    assert found == Cassette(
        (
            Interaction(
                Request("POST", "https://a/b?q=1", (("accept", "*/*"),), "å".encode()),
                Response(200, "OK", "HTTP/2", (("content-encoding", "br"), ("Content-Length", "9")), b"Oslo", ("br",)),
                1767225600250000, 0.12,
            ),
        ),
        at=1767225600250000, writer="WebInspector 537", origin="har",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, b""), ({"text": "å"}, "å".encode()), ({"text": "å", "mimeType": "text/html; charset=ISO-8859-1"}, b"\xe5"),
        ({"text": "å", "mimeType": "text/html; charset=nonsense"}, "å".encode()),
        ({"text": "AP8=", "encoding": "base64"}, b"\0\xff"), ({"size": 5, "mimeType": "text/plain"}, b""),
    ],
)  # fmt: skip
def test_contents_in_all_shapes(content: dict[str, Any], expected: bytes) -> None:
    answer = read(har(entry({"content": content}))).interactions[0].response
    assert isinstance(answer, Response)
    assert answer.body == expected


@pytest.mark.parametrize("body", ["AP8=", "gA=="])
def test_a_content_is_decoded_also_where_it_is_no_text(body: str) -> None:
    headers = [{"name": "Content-Encoding", "value": "deflate"}]
    answer = read(har(entry({"headers": headers, "content": {"text": body, "encoding": "base64"}}))).interactions[0].response
    assert isinstance(answer, Response)
    assert answer.codings == ("deflate",)


def test_a_form_is_what_was_posted() -> None:
    params = [{"name": "a b", "value": "1"}, {"name": "c", "value": "å"}]
    found = read(har(entry(postData={"mimeType": "application/x-www-form-urlencoded", "params": params})))
    assert found.interactions[0].request.body == b"a+b=1&c=%C3%A5"


def test_a_request_without_an_answer_is_a_failure() -> None:
    found = read(har(entry({"status": 0, "_error": "net::ERR_CONNECTION_REFUSED"})))
    assert found.interactions[0].response == Failure("closed", "net::ERR_CONNECTION_REFUSED")


def real(headers: Headers) -> Headers:
    """A name with a colon in front stands for a part of HTTP/2's request line."""
    return tuple(pair for pair in headers if not pair[0].startswith(":"))


def holdable(cassette: Cassette) -> Cassette:
    """What of a cassette a HAR can hold, with headers that tell of its codings; waits by the millisecond."""
    kept = []
    for request, response, at, seconds in cassette.interactions:
        sent = request._replace(url=request.url.partition("#")[0], headers=real(request.headers))
        if isinstance(response, Response):
            codings = response.codings if response.body else ()
            headers = tuple(pair for pair in real(response.headers) if not pair[0].lower().startswith("content-"))
            headers = (*headers, *((("Content-Encoding", ", ".join(codings)),) if codings else ()))
            response = response._replace(headers=headers, chunks=(), codings=codings)
        kept.append(Interaction(sent, response, at, round(seconds) * 1.0))
    at = kept[0].at if kept else 0
    return Cassette(tuple(kept), at=at, writer="respool 1", origin="har")


@given(CASSETTES)
def test_what_is_written_comes_back(drawn: Cassette) -> None:
    cassette = holdable(drawn)
    written = foreign.write(cassette, "har")
    assert read(written.data) == cassette
    assert foreign.write(cassette, "har") == written
    for each in json.loads(written.data)["log"]["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} == set(each)
        asked = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}
        assert asked <= set(each["request"]) <= {*asked, "postData"}


def test_what_is_lost_is_named() -> None:
    answer = Response(200, body=b"ab", codings=("gzip",), chunks=(Chunk(2, 0.0),))
    lost = foreign.write(Cassette((Interaction(Request("PUT", "http://a/", body=b"\xff"), answer),), test="t"), "har").lost
    for number, word in enumerate(("pieces", "length", "the test", "others than respool")):
        assert word in lost[number]


VALUES = [None, True, -1, 0.5, 1e308, "", "x", [], {}, ["x"], {"x": None}, {"name": 5}, "\u2603"]


@given(st.data())
def test_any_values_end_in_a_cassette_or_are_unreadable(data: st.DataObject) -> None:
    headers = [{"name": "a", "value": "b"}]
    document = har(entry({"headers": headers, "content": {"text": "x", "encoding": "base64"}}, postData={"params": headers}))
    try:
        foreign.read(json.dumps(with_other_values(data.draw, document, VALUES)).encode(), "a.har")
    except CassetteUnreadable as error:
        assert "line 1, byte" in str(error.where)  # noqa: PT017  either end is right
