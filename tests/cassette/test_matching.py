"""What is the same request, and what is not."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.matching import PARTS, Matching
from respool.cassette.model import Request
from respool.errors import UsageError

DEFAULT = Matching()


def get(url: str) -> Request:
    return Request("GET", url)


def post(body: bytes | str, *headers: tuple[str, str]) -> Request:
    return Request("POST", "https://api.example.com/x", headers, body.encode() if isinstance(body, str) else body)


def same(one: Request, other: Request, rule: Matching = DEFAULT) -> bool:
    equal = rule.key(one) == rule.key(other)
    assert not equal or (hash(rule.key(one)) == hash(rule.key(other)) and rule.outline(one) == rule.outline(other))
    return equal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a/", "http://a"),
        ("http://A.Example/x", "HTTP://a.example:80/x"),
        ("https://a/x", "https://a:443/x"),
        ("http://a/~me", "http://a/%7Eme"),
        ("http://a/ü", "http://a/%C3%BC"),
        ("http://a/%c3%bc", "http://a/%C3%BC"),
        ("http://a/x?", "http://a/x"),
        ("http://a/x?a=1&b=2", "http://a/x?b=2&a=1"),
        ("http://a/x?a=%7E&b=+", "http://a/x?a=~&b=%20"),
        ("http://a/x?a", "http://a/x?a="),
        ("http://a/x?q=<<<K>>>", "http://a/x?q=%3C%3C%3CK%3E%3E%3E"),
        ("http://me:pass@a/x", "http://a/x"),
        ("http://a/x#part", "http://a/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"),
    ],
)
def test_spellings_of_one_address(one: str, other: str) -> None:
    assert same(get(one), get(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a/", "https://a/"),
        ("http://a/", "http://b/"),
        ("http://a/", "http://a:81/"),
        ("http://a/x", "http://a/X"),
        ("http://a/x", "http://a/x/"),
        ("http://a/x/y", "http://a/x%2Fy"),
        ("http://a/%2525", "http://a/%25"),
        ("http://a/x?a=1", "http://a/x?a=1&a=1"),
        ("http://a/x?a=1&a=2", "http://a/x?a=1"),
        ("http://a/x?a=1", "http://a/x?A=1"),
        ("http://a/x?a=%2B", "http://a/x?a=+"),
        ("http://a/x?a=1%262", "http://a/x?a=1&2"),
        ("http://a/x?a=%FF", "http://a/x?a=%FE"),
        ("http://[::1]/", "http://[::2]/"),
        ("http://a/x", "http://a/x?a="),
        ("http://a/x?a=1&b=2", "http://a/x?a=1%00b%002"),
        ("http://a/x?a=1%00b&c=2", "http://a/x?a=1&b%00c=2"),
    ],
)
def test_different_addresses(one: str, other: str) -> None:
    assert not same(get(one), get(other))


def test_methods_differ_whatever_their_case() -> None:
    assert same(Request("get", "http://a/"), get("http://a/"))
    assert not same(Request("HEAD", "http://a/"), get("http://a/"))


@pytest.mark.parametrize("url", ["", "not a url", "http://", "http://[::1", "http://a:port/", "http://a:999999/", "?x", "*"])
def test_a_text_that_is_no_address_still_has_a_key(url: str) -> None:
    assert same(get(url), get(url))
    assert not same(get(url), get("http://other/"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}\n'),
        ('{"a": "\\u00fc"}', '{"a":"ü"}'),
        ("a=1&b=2", "b=2&a=1"),
        ("a=%7E+b", "a=~%20b"),
        ('--x\r\nA: b; name="f"\r\n\r\n1\r\n--x--\r\n', '--yyy\r\nA: b; name="f"\r\n\r\n1\r\n--yyy--\r\n'),
    ],
)
def test_spellings_of_one_body(one: str, other: str) -> None:
    assert same(post(one), post(other))
    assert same(post(one, ("Content-Type", "application/json")), post(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 1.0}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": null}', "{}"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('{"a": NaN}', '{"a": null}'),
        ('{"a": "x "}', '{"a": "x"}'),
        ("a=1", "a=1&a=1"),
        ("some text", "some  text"),
        ("", "{}"),
        ('--x\r\nA: b; name="f"\r\n\r\n1\r\n--x--\r\n', '--x\r\nA: b; name="f"\r\n\r\n2\r\n--x--\r\n'),
        ('--x\r\nA: b; name="f"\r\n\r\n1\r\n--x--\r\n', '--x\r\nA: b; name="g"\r\n\r\n1\r\n--x--\r\n'),
        ("[" * 100_000, "[" * 99_999),
    ],
)
def test_different_bodies(one: str, other: str) -> None:
    assert not same(post(one), post(other))


def test_bytes_and_long_bodies() -> None:
    assert not same(post(b"\x00" * 5000), post(b"\x00" * 5000 + b"\x01"))
    assert same(post(b"\xff\xfe" * 90_000), post(b"\xff\xfe" * 90_000))
    long = {str(n): n for n in range(5000)}
    assert same(post(json.dumps(long)), post(json.dumps(long, indent=1)))
    assert same(post(gzip.compress(b'{"a":1}', mtime=1)), post(gzip.compress(b'{"a":1}', 1, mtime=2)))


def test_what_is_ignored() -> None:
    rule = Matching(ignore_query=["ts"], ignore_json=["$.nonce", "$.a[*].id", "$..at"], ignore_form="sig")
    assert same(get("http://a/?ts=1&b=2"), get("http://a/?b=2"), rule)
    assert not same(get("http://a/?ts=1&b=2"), get("http://a/?b=3"), rule)
    one = '{"nonce": 1, "a": [{"id": 1, "v": 2}, {"id": 2, "v": 3}], "deep": {"er": {"at": 1}}}'
    other = '{"a": [{"v": 2}, {"id": 5, "v": 3}], "nonce": null, "deep": {"er": {"at": 2}}}'
    assert same(post(one), post(other), rule)
    assert not same(post(one), post(other.replace('"v": 3', '"v": 4')), rule)
    assert same(post("a=1&sig=x"), post("sig=y&a=1"), rule)
    assert not same(post("a=1&sig=x"), post("sig=y&a=2"), rule)


def test_order_headers_and_left_out_parts() -> None:
    assert not same(get("http://a/?a=1&b=2"), get("http://a/?b=2&a=1"), Matching(query_order=True))
    named = Matching(headers=("X-Tenant",))
    one, other = post("", ("X-Tenant", "a"), ("Date", "1")), post("", ("Date", "2"), ("x-tenant", "a"))
    assert same(one, other, named)
    assert not same(one, post("", ("x-tenant", "b")), named)
    assert not same(one, other, Matching(headers="*"))
    bodiless = Matching(parts=[part for part in PARTS if part != "body"])
    assert same(post("1"), post("2"), bodiless)
    raw = Matching(parts=("method", "raw_body"))
    assert not same(post('{"a":1}'), post('{"a": 1}'), raw)
    assert same(post('{"a":1}'), Request("POST", "http://elsewhere/", (), b'{"a":1}'), raw)


def test_a_normaliser_decides_what_is_compared() -> None:
    rule = Matching(normalise=lambda request: request._replace(url=request.url.replace("/v2/", "/v1/")))
    assert same(get("http://a/v1/x"), get("http://a/v2/x"), rule)


def test_custom_matchers_speak_as_in_vcrpy() -> None:
    def refuses(live: Request, recorded: Request) -> None:
        assert live.body == recorded.body

    rule = Matching.of_vcr(("method", "close", "strict"), {"close": lambda live, recorded: None, "strict": refuses})
    assert rule.parts == ("method",)
    assert rule.agrees(post("1"), post("1"))
    assert not rule.agrees(post("1"), post("2"))
    assert not replace(rule, custom=lambda live, recorded: False).agrees(post("1"), post("1"))
    assert not replace(rule, custom=lambda live, recorded: 0).agrees(post("1"), post("1"))


def test_the_match_on_of_vcrpy() -> None:
    usual = Matching.of_vcr(("method", "scheme", "host", "port", "path", "query"))
    assert same(post("1"), post("2"), usual)
    assert same(get("http://a/?a=1&b=2"), get("http://a/?b=2&a=1"), usual)
    uri = Matching.of_vcr(["uri", "method"])
    assert not same(get("http://a/?a=1&b=2"), get("http://a/?b=2&a=1"), uri)
    assert not same(post("", ("A", "1")), post("", ("A", "2")), Matching.of_vcr(["headers"]))
    assert not same(post('{"a":1}'), post('{"a": 1}'), Matching.of_vcr(["raw_body"]))
    with pytest.raises(UsageError, match=r"'methd' is not .*\n.*did you mean 'method'"):
        Matching.of_vcr(["methd"])


def test_a_rule_is_a_value_and_can_be_described() -> None:
    rule = Matching(ignore_query=("ts",), ignore_json=("$.a",), query_order=True, headers=("Accept",))
    rule.key(post('{"a": 1}'))
    assert rule == Matching.of(json.loads(json.dumps(rule.described()))) == pickle.loads(pickle.dumps(rule))
    assert hash(rule) == hash(Matching.of(rule.described()))
    assert DEFAULT.described() == {}
    with_code = Matching(normalise=test_bytes_and_long_bodies, custom=(same,))  # type: ignore[arg-type]
    assert with_code.described()["custom"] == [f"{__name__}.same"]
    assert Matching.of({"normalise": with_code.normalise}).normalise is with_code.normalise
    with pytest.raises(UsageError, match="no function"):
        Matching.of(with_code.described())


@pytest.mark.parametrize(
    "settings", [{"ignore_qeury": ["a"]}, {"parts": ["bdoy"]}, {"ignore_json": ["nonce"]}, {"ignore_json": ["$.a[?x]"]}]
)
def test_unknown_names_are_usage_errors(settings: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        Matching.of(settings)


def test_a_memo_is_bounded() -> None:
    rule = Matching()
    for number in range(10_000):
        rule.key(Request("POST", f"http://a/{number}", (), b"%d" % number))
    rule.key(Request("POST", "http://a/" + "x" * 100_000, (), b"x" * 100_000))
    assert len(rule._addresses) <= 4096
    assert len(rule._bodies) <= 4096
    assert max(map(len, rule._addresses)) < 10_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(st.dictionaries(st.text(max_size=5), VALUES), st.randoms())
def test_json_is_equal_up_to_order_and_blanks(value: dict[str, object], chance: random.Random) -> None:
    names = list(value)
    chance.shuffle(names)
    shuffled = {name: value[name] for name in names}
    other = json.dumps(shuffled, indent=2, ensure_ascii=chance.random() < 0.5)
    assert same(post(json.dumps(value)), post(other.encode("utf-8", "surrogatepass")))


@given(st.binary(), st.binary())
def test_bodies_of_any_bytes_have_keys(one: bytes, other: bytes) -> None:
    assert same(post(one), post(one))
    if Matching(parts=["raw_body"]).key(post(one)) == Matching(parts=["raw_body"]).key(post(other)):
        assert one == other
