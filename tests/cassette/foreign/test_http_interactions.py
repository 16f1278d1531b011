"""Cassettes of Ruby's vcr, of R's vcr and of Betamax."""

from __future__ import annotations

import gzip
import json
import textwrap
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import with_other_values
from respool.cassette import foreign
from respool.cassette.model import Cassette, Interaction, Request, Response
from respool.errors import CassetteUnreadable


def read(text: str, where: str = "a.yml") -> Cassette:
    found = foreign.read(textwrap.dedent(text).encode(), where)
    assert found is not None
    return found


def body(text: str, where: str = "a.yml") -> bytes:
    """The body of the response that says `text` of it."""
    request = "{method: get, uri: 'http://a/b'}"
    whole = f"http_interactions:\n- request: {request}\n  response:\n    status: 200\n    body: {text}\n"
    found = read(whole, where).interactions[0]
    assert isinstance(found.response, Response)
    return found.response.body


def test_ruby() -> None:
    found = read(
        """\
        ---
        http_interactions:
        - request:
            method: post
            uri: http://example.com:80/foo?q=1
            body:
              encoding: US-ASCII
              string: a=1
            headers: {}
          response:
            status:
              code: 201
              message: Created
            headers:
              Etag:
              - ! '"24ec5"'
              Set-Cookie:
              - a=1
              - b=2
            body:
              encoding: ISO-8859-1
              string: ! "Oslo \\xE5"
            http_version: '1.1'
          recorded_at: Tue, 01 Nov 2011 04:49:54 GMT
        recorded_with: VCR 6.1.0
        """
    )
    assert found == Cassette(
        (
            Interaction(
                Request("POST", "http://example.com/foo?q=1", (), b"a=1"),
                Response(
                    201, "Created", headers=(("Etag", '"24ec5"'), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
                    body="Oslo å".encode("latin-1"),
                ),
                1320122994000000,
            ),
        ),
        at=1320122994000000, writer="VCR 6.1.0", origin="ruby-vcr",
    )  # fmt: skip


def test_ruby_version_1() -> None:
    found = read(
        """\
        ---
        - !ruby/struct:VCR::HTTPInteraction
          request: !ruby/struct:VCR::Request
            method: :get
            uri: http://example.com:80/
            body:
            headers:
          response: !ruby/struct:VCR::Response
            status: !ruby/struct:VCR::ResponseStatus
              code: 200
              message: OK
            headers:
              age:
              - "3009"
            body: |
              hello
            http_version: "1.1"
        """
    )
    assert found.interactions == (
        Interaction(Request("GET", "http://example.com/"), Response(200, "OK", headers=(("age", "3009"),), body=b"hello\n")),
    )


def test_r() -> None:
    found = read(
        """\
        http_interactions:
        - request:
            method: GET
            uri: https://api.example.com/get
          response:
            status: 200
            headers:
              date: Tue, 06 May 2025 13:04:11 GMT
              content-encoding: gzip
            body:
              string: '{"args": {}}'
          recorded_at: 2025-05-06 13:04:11
        recorded_with: VCR-vcr/2.0.0, webmockr/2.0.0
        """
    )
    (only,) = found.interactions
    assert found.origin == "r-vcr"
    assert only.at == 1746536651000000
    assert isinstance(only.response, Response)
    assert (only.response.body, only.response.codings) == (b'{"args": {}}', ("gzip",))


def test_r_before_it_was_rewritten() -> None:
    found = read(
        """\
        http_interactions:
        - request:
            method: get
            uri: https://api.example.com/cities
            body: {encoding: '', string: ''}
            headers: {User-Agent: 'libcurl/7.68.0'}
          response:
            status: {status_code: '200', message: OK, explanation: Request fulfilled}
            headers: {status: HTTP/1.1 200 OK}
            body: {encoding: UTF-8, file: no, string: '{}'}
          recorded_at: 2020-11-27 10:44:33 GMT
          recorded_with: vcr/0.6.0, webmockr/0.7.4
        """
    )
    (only,) = found.interactions
    assert (found.origin, found.writer) == ("r-vcr", "vcr/0.6.0, webmockr/0.7.4")
    assert only == Interaction(
        Request("GET", "https://api.example.com/cities", (("User-Agent", "libcurl/7.68.0"),)),
        Response(200, "OK", headers=(("status", "HTTP/1.1 200 OK"),), body=b"{}"), 1606473873000000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", b""), ("''", b""), ("plain", b"plain"), ("{encoding: UTF-8, string: 'å'}", "å".encode()),
        ("{encoding: ASCII-8BIT, string: 'å'}", "å".encode()),
        ("{encoding: ISO-8859-1, string: '\u2603'}", "\u2603".encode()),
        ("{encoding: ASCII-8BIT, string: !binary AP8=}", b"\0\xff"), ("!binary AP8=", b"\0\xff"),
        ("{encoding: UTF-8, base64_string: AP8=}", b"\0\xff"),
        ("{encoding: '', file: no, base64_string: 'AP 8='}", b"\0\xff"),
        (f"{{raw_gzip: {b64encode(zlib.compress(b'packed')).decode()}}}", b"packed"),
        (f"{{raw_gzip: {b64encode(gzip.compress(b'packed', mtime=0)).decode()}}}", b"packed"),
    ],
)  # fmt: skip
def test_bodies_in_all_shapes(text: str, expected: bytes) -> None:
    assert body(text) == expected


def test_what_r_wrote_to_disk_is_read_from_beside_the_cassette_only(tmp_path: Path) -> None:
    cassettes = tmp_path / "tests" / "_vcr"
    cassettes.mkdir(parents=True)
    (tmp_path / "tests" / "files").mkdir()
    (tmp_path / "tests" / "files" / "a.pdf").write_bytes(b"%PDF")
    (cassettes / "b.pdf").write_bytes(b"%PDF b")
    (tmp_path / "secret").write_bytes(b"secret")
    where = str(cassettes / "a.yml")
    assert body("{encoding: '', file: yes, string: files/a.pdf}", where) == b"%PDF"
    assert body("{encoding: '', file: true, string: ../files/a.pdf}", where) == b"%PDF"
    assert body("{file: true, string: b.pdf}", where) == b"%PDF b"
    for outside in ("../../secret", str(tmp_path / "secret"), "nothing", "../files"):
        with pytest.raises(CassetteUnreadable, match="line 5"):
            body(f"{{file: true, string: {outside}}}", where)


BETAMAX: dict[str, Any] = {
    "http_interactions": [
        {
            "recorded_at": "2015-06-27T15:39:25",
            "request": {
                "method": "POST", "uri": "https://httpbin.org/post", "headers": {"Accept": ["*/*"]},
                "body": {"base64_string": "YT0x", "encoding": "utf-8"},
            },
            "response": {
                "url": "https://httpbin.org/post", "headers": {"server": ["nginx"], "set-cookie": ["a=1", "b=2"]},
                "status": {"code": 200, "message": "OK"}, "body": {"string": "å", "encoding": "ISO-8859-1"},
            },
        }
    ],
    "recorded_with": "betamax/0.8.1",
}  # fmt: skip


def test_betamax() -> None:
    found = read(json.dumps(BETAMAX), "a.json")
    assert found.origin == "betamax"
    assert found.interactions == (
        Interaction(
            Request("POST", "https://httpbin.org/post", (("Accept", "*/*"),), b"a=1"),
            Response(200, "OK", headers=(("server", "nginx"), ("set-cookie", "a=1"), ("set-cookie", "b=2")), body=b"\xe5"),
            1435419565000000,
        ),
    )


def test_betamax_before_it_kept_lists() -> None:
    old = json.loads(json.dumps(BETAMAX))
    entry = old["http_interactions"][0]
    entry["request"] |= {"headers": {"Accept": "*/*"}, "body": "a=1", "uri": "https://httpbin.org"}
    entry["response"] = {"headers": {"server": "nginx"}, "status_code": 200, "body": {"string": "x", "encoding": None}}
    assert read(json.dumps(old | {"recorded_with": "betamax"}), "a.json").interactions[0][:2] == (
        Request("POST", "https://httpbin.org/", (("Accept", "*/*"),), b"a=1"),
        Response(200, headers=(("server", "nginx"),), body=b"x"),
    )


def test_an_empty_one_holds_nothing() -> None:
    assert read("http_interactions: []\nrecorded_with: VCR 2.0.0").interactions == ()


KEPT = [{"x": None}, {"string": 5}, {"base64_string": "!"}, {"raw_gzip": "AP8="}, {"file": "yes"}]
VALUES = [None, True, -1, 0.5, "", "x", [], {}, ["x"], "\u2603", *KEPT]


@given(st.data())
def test_any_values_end_in_a_cassette_or_are_unreadable(data: st.DataObject) -> None:
    document = with_other_values(data.draw, BETAMAX, VALUES)
    try:
        foreign.read(json.dumps(document).encode(), "nowhere/a.json")
    except CassetteUnreadable as error:
        assert "line 1, byte" in str(error.where)  # noqa: PT017  either end is right
