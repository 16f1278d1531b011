"""vcrpy's cassettes in the shapes that are found in the wild, and written for vcrpy to read."""

from __future__ import annotations

import gzip
import json
import re
import textwrap
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import CASSETTES, with_other_values
from respool.cassette import foreign
from respool.cassette import format as cassette_format
from respool.cassette.codings import put_on
from respool.cassette.model import Cassette, Chunk, Failure, Headers, Interaction, Request, Response
from respool.errors import CassetteRefused, CassetteUnreadable

OSLO = gzip.compress(b'{"temp": 12}')


def read(text: str | bytes, where: str = "tests/cassettes/a.yaml") -> Cassette:
    found = foreign.read(textwrap.dedent(text).encode() if isinstance(text, str) else text, where)
    assert found is not None
    return found


def only(text: str | bytes, where: str = "a.yaml") -> Interaction:
    (found,) = read(text, where).interactions
    return found


def answer(text: str) -> Response:
    """The response that `text` says, under an ordinary request."""
    text = textwrap.indent(textwrap.dedent(text), "    ")
    found = only(f"interactions:\n- request: {{method: GET, uri: 'http://a/'}}\n  response:\n{text}")
    assert isinstance(found.response, Response)
    return found.response


def request(text: str) -> Request:
    text = textwrap.indent(textwrap.dedent(text), "    ")
    return only(f"interactions:\n- request:\n{text}\n  response: {{status: {{code: 200, message: OK}}}}").request


def test_an_ordinary_one() -> None:
    found = only(
        f"""
        interactions:
        - request:
            body: '{{"city": "Oslo"}}'
            headers:
              Accept: ['*/*']
              X-Two: [a, b]
            method: POST
            uri: https://api.example.com/search?q=1#fragment
          response:
            body:
              string: !!binary |
                {b64encode(OSLO).decode()}
            headers:
              Content-Encoding: [gzip]
              Content-Length: ['{len(OSLO)}']
            status: {{code: 200, message: OK}}
        version: 1
        """
    )
    assert found.request == Request(
        "POST", "https://api.example.com/search?q=1", (("Accept", "*/*"), ("X-Two", "a"), ("X-Two", "b")), b'{"city": "Oslo"}'
    )
    assert found.response == Response(
        200, "OK", "HTTP/1.1", (("Content-Encoding", "gzip"), ("Content-Length", str(len(OSLO)))), b'{"temp": 12}', ("gzip",)
    )


def test_a_body_that_was_stored_decoded_under_its_old_headers_is_encoded_again() -> None:
    """As httpx' answers were kept before vcrpy 6; a client would try to unpack it."""
    found = answer(
        """
        content: '{"temp": 12}'
        headers:
          Content-Encoding: [gzip]
          Content-Length: ['230']
        http_version: HTTP/2
        status_code: 200
        """
    )
    assert (found.body, found.codings, found.version) == (b'{"temp": 12}', ("gzip",), "HTTP/2")
    headers, wire = put_on(found)
    assert gzip.decompress(wire) == b'{"temp": 12}'
    assert dict(headers)["Content-Length"] == str(len(wire))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("{accept: ['*/*'], b: [c]}", (("accept", "*/*"), ("b", "c"))),
        ("{length: 12, empty: null, yes: true}", (("length", "12"), ("empty", ""), ("yes", "true"))),
        ("[[accept, '*/*'], [b, [c, d]]]", (("accept", "*/*"), ("b", "c"), ("b", "d"))),
        ('["accept: */*\\r\\n", "b: c: d\\r\\n"]', (("accept", "*/*"), ("b", "c: d"))),
        ("[!!python/tuple [Expires, ['-1']], !!python/tuple [b, [c]]]", (("Expires", "-1"), ("b", "c"))),
        ("{accept: [!!binary Ki8q]}", (("accept", "*/*"),)),
        ("{name: ['\u2603']}", (("name", "\u2603".encode().decode("latin-1")),)),
        ("{time: [12:30:45], day: [2020-01-01], n: [012], e: [1e3], h: [0x1F], no: [no]}",
         (("time", "12:30:45"), ("day", "2020-01-01"), ("n", "012"), ("e", "1e3"), ("h", "0x1F"), ("no", "no"))),
        ("{}", ()), ("[]", ()), ("null", ()),
    ],
)  # fmt: skip
def test_headers_in_all_shapes(headers: str, expected: Any) -> None:
    assert answer(f"headers: {headers}\nstatus: {{code: 200, message: OK}}").headers == expected
    assert request(f"{{method: GET, uri: 'http://a/', headers: {headers}}}").headers == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("null", b""), ("''", b""), ("a=1", b"a=1"), ("'å'", "å".encode()), ("!!binary AP8=", b"\x00\xff"),
        ("{string: a=1}", b"a=1"), ("{base64_string: AP8=}", b"\x00\xff"), ("{string: null}", b""), ("{}", b""),
        ("!!python/unicode 'a=1'", b"a=1"), ("!!python/str 'a=1'", b"a=1"), ("!!python/bytes 'YT0x'", b"a=1"),
        ("!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary YT0x, 0, null]}", b"a=1"),
        ("!!python/object/apply:builtins.iter {args: [[!!binary YT0=, !!binary MQ==]], state: 0}", b"a=1"),
        ("{messages: [{role: user}], n: 1, t: 0.5, stream: true, stop: null}",
         b'{"messages": [{"role": "user"}], "n": 1, "t": 0.5, "stream": true, "stop": null}'),
    ],
)  # fmt: skip
def test_bodies_in_all_shapes(body: str, expected: bytes) -> None:
    assert request(f"{{method: POST, uri: 'http://a/', body: {body}}}").body == expected
    assert answer(f"body: {body}\nstatus: {{code: 200, message: OK}}").body == expected


def test_a_parsed_body_is_the_json_that_its_serialiser_made_of_it() -> None:
    made = answer(
        """
        headers: {content-type: [application/json], content-length: ['999'], content-encoding: [br]}
        parsed_body: {choices: [{text: 'ü'}]}
        status: {code: 200, message: OK}
        """
    )
    assert made.body == b'{"choices": [{"text": "\\u00fc"}]}'
    assert made.codings == ("br",)
    assert request("{method: POST, uri: 'http://a/', parsed_body: [1]}").body == b"[1]"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("status: {code: 200, message: OK}", (200, "OK")), ("status: {code: 404, message: null}", (404, "")),
        ("status: {code: '201', message: Created}", (201, "Created")), ("status: 200", (200, "")),
        ("status_code: 200", (200, "")), ("status: [200, OK]", (200, "OK")), ("status: {status_code: 500}", (500, "")),
    ],
)  # fmt: skip
def test_statuses_in_all_shapes(status: str, expected: tuple[int, str]) -> None:
    found = answer(status)
    assert (found.status, found.reason) == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [("HTTP/1.1", "HTTP/1.1"), ("11", "HTTP/1.1"), ("10", "HTTP/1.0"), ("'1.1'", "HTTP/1.1"), ("1.0", "HTTP/1.0"),
     ("20", "HTTP/2"), ("HTTP/2", "HTTP/2"), ("HTTP/2.0", "HTTP/2"), ("h3", "HTTP/3"), ("null", "HTTP/1.1"),
     ("odd", "HTTP/1.1")],
)  # fmt: skip
def test_versions_in_all_shapes(version: str, expected: str) -> None:
    for name in ("protocol_version", "http_version"):
        assert answer(f"status: {{code: 200}}\n{name}: {version}").version == expected


def test_a_length_that_is_not_the_bodys_is_corrected_and_that_of_an_answer_to_head_is_not() -> None:
    assert answer("status: {code: 200}\nbody: abc\nheaders: {content-length: ['9']}").headers == (("content-length", "3"),)
    assert answer("status: {code: 200}\nheaders: {content-length: ['9']}").headers == (("content-length", "0"),)
    assert answer("status: {code: 304}\nheaders: {content-length: ['9']}").headers == (("content-length", "9"),)
    head = only(
        "interactions: [{request: {method: HEAD, uri: 'http://a/'},"
        " response: {status: 200, headers: {Content-Length: ['9']}}}]"
    )
    assert isinstance(head.response, Response)
    assert head.response.headers == (("Content-Length", "9"),)


def test_a_compressed_body_that_is_damaged_stays_as_it_was_sent() -> None:
    wire = b64encode(OSLO[:-3]).decode()
    found = answer(f"status: 200\nheaders: {{Content-Encoding: [gzip]}}\nbody: {{string: !!binary {wire}}}")
    assert (found.body, found.codings) == (OSLO[:-3], ())


OLD = """
- request: !!python/object:vcr.request.Request
    body: null
    headers: !!python/object/apply:__builtin__.frozenset
    - - !!python/tuple [accept, '*/*']
    host: httpbin.org
    method: GET
    path: /ip
    port: 80
    protocol: http
  response:
    body: {string: !!python/unicode "{}"}
    headers: [!!python/unicode "content-type: application/json\\r\\n"]
    status: {code: 200, message: OK}
"""


def test_version_0() -> None:
    expected = Interaction(
        Request("GET", "http://httpbin.org/ip", (("accept", "*/*"),)),
        Response(200, "OK", headers=(("content-type", "application/json"),), body=b"{}"),
    )
    assert only(OLD) == expected
    as_json = [
        {
            "request": {"body": None, "protocol": "http", "method": "GET", "headers": {"accept": "*/*"},
                        "host": "httpbin.org", "path": "/ip", "port": 80},
            "response": {"status": {"message": "OK", "code": 200}, "headers": ["content-type: application/json\r\n"],
                         "body": {"string": "{}"}},
        }
    ]  # fmt: skip
    assert only(json.dumps(as_json), "a.json") == expected
    assert only(OLD.replace("port: 80", "port: 8080")).request.url == "http://httpbin.org:8080/ip"


def test_json_is_told_by_what_it_holds_whatever_its_name() -> None:
    text = '{"version": 1, "interactions": []}'
    assert read(text, "a.json").origin == "vcrpy-json"
    assert read(text, "a.yaml").origin == "vcrpy-json"
    assert read("interactions: []\nversion: 1\n", "no_suffix").origin == "vcrpy-yaml"
    assert foreign.read(b'{"x": 1}', "a.json") is None
    assert foreign.read(b"interactions: []", "a.json") is None


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("interactions:\n- request: {method: GET, uri: u}\n  response: {status: {code: OK}}", "line 3", "no status"),
        ("interactions:\n- request: {uri: 'http://a/'}\n  response: {status: 200}", "line 2", "must be text"),
        ("interactions:\n- request: {method: GET, uri: u, headers: 5}\n  response: {status: 200}", "line 2", "no headers"),
        ("interactions:\n- 7", "line 2", "an object"),
        ("a: 1\nb: 2", "line 1", "an object with 'a', 'b': no cassette"),
        ("", "line 1", "no cassette"),
        ("interactions:\n- request: {method: GET, uri: u, parsed_body: &x [*x]}\n  response: {}", "line 2", "endless"),
        ("interactions:\n- request: {method: GET, uri: u, body: {base64_string: 'ä'}}\n  response: {}", "line 2", "base64"),
    ],
)
def test_damage_is_told_with_its_place(text: str, place: str, why: str) -> None:
    with pytest.raises(CassetteUnreadable) as caught:
        foreign.read(text.encode(), "a.yaml")
    assert place in str(caught.value.where)
    assert why in str(caught.value.why)


# --- written


def grouped(headers: Headers) -> Headers:
    """Equal names together, as an object of lists keeps them; lengths left out, which are corrected."""
    names = dict.fromkeys(name for name, _ in headers if name.lower() != "content-length")
    return tuple((name, value) for name in names for other, value in headers if other == name)


def holdable(cassette: Cassette) -> Cassette:
    """What of a cassette vcrpy can hold: no failures, no times, no pieces; equal headers together."""
    kept = []
    for request, response, *_ in cassette.interactions:
        if isinstance(response, Failure):
            continue
        headers = tuple(pair for pair in grouped(response.headers) if pair[0].lower() != "content-encoding")
        codings = response.codings if response.body else ()
        if codings:
            headers = (*headers, ("Content-Encoding", ", ".join(codings)))
        sent = request._replace(headers=grouped(request.headers), url=request.url.partition("#")[0])
        kept.append(Interaction(sent, response._replace(headers=headers, chunks=(), codings=codings)))
    return replace(cassette, interactions=tuple(kept), extra={})


@given(CASSETTES)
def test_what_is_written_for_vcrpy_comes_back(drawn: Cassette) -> None:
    cassette = holdable(drawn)
    written = foreign.write(cassette, "vcrpy-yaml").data
    assert read(written).interactions == cassette.interactions
    assert set(yaml.safe_load(written)) == {"interactions", "version"}
    assert foreign.write(cassette, "vcrpy-yaml").data == written


@given(CASSETTES)
def test_what_is_written_as_json_comes_back_or_is_refused(drawn: Cassette) -> None:
    cassette = holdable(drawn)
    try:
        written = foreign.write(cassette, "vcrpy-json", where="x.json")
    except CassetteRefused as refused:
        assert "no text" in str(refused)  # noqa: PT017  most are not refused
        return
    assert read(written.data, "x.json").interactions == cassette.interactions


def test_what_is_lost_is_named_and_what_would_play_differently_is_refused() -> None:
    headers = (("A", "1"), ("B", "2"), ("A", "3"))
    streamed = Response(200, "OK", "HTTP/2", headers, b"ab", ("gzip",), (Chunk(1, 0.0), Chunk(1, 0.5)))
    tape = Cassette((Interaction(Request("GET", "http://a/"), streamed, 5, 0.1),), test="t")
    written = foreign.write(tape, "vcrpy-yaml")
    for number, word in enumerate(("how long", "pieces", "order", "length", "matching")):
        assert word in written.lost[number]
    assert only(written.data).response.version == "HTTP/2"  # type: ignore[union-attr]
    failed = Cassette((Interaction(Request("GET", "http://a/"), Failure("connect")),))
    with pytest.raises(CassetteRefused, match=r"interaction 0 of 'a.yaml'"):
        foreign.write(failed, "vcrpy-yaml", where="a.yaml")
    with pytest.raises(CassetteRefused, match="betamax"):
        foreign.write(tape, "betamax", where="a.json")


def test_what_was_read_is_written_in_our_format_and_back() -> None:
    found = read(OLD)
    assert cassette_format.read(cassette_format.write(found).data, "a.json").interactions == found.interactions


TREE = yaml.safe_load(re.sub("!!python/[a-z_:./A-Z]+", "", OLD))
VALUES = [None, True, -1, 0.5, "", "x", [], {}, ["x"], [["x"]], {"x": None}, {"string": 5}, b"\xff", "\u2603", 10**30, {1: 2}]


@given(st.data())
def test_any_values_end_in_a_cassette_or_are_unreadable(data: st.DataObject) -> None:
    document = with_other_values(data.draw, {"interactions": TREE, "version": 1}, VALUES)
    try:
        found = foreign.read(yaml.safe_dump(document).encode(), "a.yaml")
    except CassetteUnreadable as error:
        assert "line" in str(error.where)  # noqa: PT017  either end is right
        return
    assert found is not None
    cassette_format.write(found)
