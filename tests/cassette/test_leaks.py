"""The leak check finds what was planted, wherever it was planted, and says nothing of what is none."""

from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import KINDS, PLACES, Planted, survives, table

from respool.cassette import codings, leaks, redaction
from respool.cassette.leaks import check
from respool.cassette.leaks.patterns import SHAPES
from respool.cassette.model import Cassette, Failure, Interaction, Request, Response
from respool.cassette.redaction import Redaction
from respool.cassette.redaction.secret_shapes import SHAPES as REDACTED_SHAPES

# A text of these kinds under a name that says nothing is a text like any other: no rule can tell.
UNTELLABLE = {(kind, "neutral JSON key") for kind in ("hex-32", "base62-40", "uuid session", "aws secret")}
TABLE = list(table())
SECRET = "k9Fz-Lq2" + "xT7vB4nW8mYc3RdP"


def answered(body: bytes, *headers: tuple[str, str], codings: tuple[str, ...] = ()) -> list[Interaction]:
    return [Interaction(Request("GET", "https://a/"), Response(200, headers=headers, body=body, codings=codings))]


def sent(url: str = "https://a/", body: bytes = b"", *headers: tuple[str, str]) -> list[Interaction]:
    return [Interaction(Request("POST", url, headers, body), Response(200))]


def places(found: list[leaks.Leak]) -> list[tuple[str, str]]:
    return [(leak.place, leak.rule) for leak in found]


NAMES = (
    "X-Key", "X-Api-Key", "X-Custom-Key", "Auth", "X-Auth", "Token", "mytoken", "Session", "Signature", "Code",
    "Pass", "pass_code", "passwd", "otp", "Secret", "client_secret", "license_key", "keys", "next_token", "csrf", "sid",
    "jwt", "Bearer", "connection_string", "code_verifier", "private-token", "session_key", "x-functions-key", "public_key",
    "webhook_signature",
)  # fmt: skip
SHORT = ("abc123", "hunter2", "1234", "v1", "hello", "alpha-beta", "QUJD", "a1b2c3d4e5", SECRET)


@pytest.mark.parametrize("name", NAMES)
def test_what_redaction_leaves_the_check_lets_pass(name: str) -> None:
    """Two lists, one outcome: else the default rules would make recordings that the check then refuses."""
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    for value in SHORT:
        document = json.dumps({name: value, "n": 1}).encode()
        for found in (
            sent("https://a/", b"", (name, value)), sent(f"https://a/?{name}={value}"), sent("https://a/", document),
            sent("https://a/", f"{name}={value}&n=1".encode(), *form), answered(document), answered(b"", (name, value)),
        ):  # fmt: skip
            assert not check([Redaction(redaction.DEFAULT).interaction(each) for each in found]), (value, found)


@pytest.mark.parametrize("value", ["ONE_OFF_TOKEN", "ghp_TEST_TOKEN", "Basic dGVzdHVzZXI6Z2hwX1RFU1RfVE9LRU4K", "testid"])
def test_what_authors_write_in_a_secrets_stead_is_none(value: str) -> None:
    """Found on public cassettes: a variable that nobody filled in, words, and the base64 of words."""
    assert not check(sent("https://a/", b"", ("Authorization", value)))


def test_the_table_is_whole() -> None:
    assert (len(KINDS), len(PLACES), len(TABLE)) == (12, 11, 132)
    assert all(survives(planted.secret, planted.interaction) for planted in TABLE)


@pytest.mark.parametrize("planted", TABLE, ids=lambda planted: f"{planted.kind}, {planted.place}")
def test_planted_secrets_are_found(planted: Planted) -> None:
    found = check([planted.interaction])
    assert bool(found) is ((planted.kind, planted.place) not in UNTELLABLE)
    assert not any(planted.secret in str(leak) for leak in found)
    known = check(Cassette((planted.interaction,)), [planted.secret])
    assert "known value" in {leak.rule for leak in known} or planted.kind == "private key"
    assert known


@pytest.mark.parametrize("planted", TABLE, ids=lambda planted: f"{planted.kind}, {planted.place}")
def test_planted_secrets_do_not_survive_redaction(planted: Planted) -> None:
    untold = Redaction().interaction(planted.interaction)
    assert survives(planted.secret, untold) is ((planted.kind, planted.place) in UNTELLABLE)
    told = Redaction(environ={"MY_SERVICE_TOKEN": planted.secret}).interaction(planted.interaction)
    assert not survives(planted.secret, told)
    assert check([told], [planted.secret]) == []


@pytest.mark.parametrize("seed", range(2, 6))
def test_it_is_not_luck(seed: int) -> None:
    for planted in table(seed):
        tellable = (planted.kind, planted.place) not in UNTELLABLE
        assert bool(check([planted.interaction])) is tellable
        assert survives(planted.secret, Redaction().interaction(planted.interaction)) is not tellable


def test_what_cannot_be_decoded_is_a_finding() -> None:
    assert places(check(answered(b"\x1f\x8b" + b"\x08 cut off"))) == [("response body", "undecodable")]
    unheard_of = answered(b"\x81\x00\xff", ("Content-Encoding", "unheard-of"))
    assert places(check(unheard_of)) == [("response body", "undecodable")]
    broken = sent("https://a/", b"\x00\xff\xfe", ("Content-Encoding", "br"))
    assert places(check(broken)) == [("request body", "undecodable")]
    assert check(answered(b'{"ok": true}', ("Content-Encoding", "gzip"))) == []  # other tools store it decoded
    assert check(answered(bytes(range(256)), ("Content-Type", "image/png"))) == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_every_coding_is_taken_off(coding: str) -> None:
    body = codings.encode(json.dumps({"api_key": SECRET}).encode(), (coding,))
    if codings.decode(body, (coding,)) is None:
        assert places(check(answered(body, ("Content-Encoding", coding)))) == [("response body", "undecodable")]
    else:
        assert places(check(answered(body, ("Content-Encoding", coding)))) == [("response body, api_key", "position")]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"inner": json.dumps({"deeper": json.dumps({"password": SECRET})})}).encode(),
        quote(quote(f"a=1&password={SECRET}")).encode(),
        base64.b64encode(gzip.compress(json.dumps({"access_token": SECRET}).encode(), mtime=0)),
        b'data: {"a": 1}\n\ndata: {"client_secret": "' + SECRET.encode() + b'"}\n\n',
        b'{"cut": "off", "api_key": "' + SECRET.encode() + b'", "more": ',
        b'{"api_key": "' + SECRET.encode() + b'", "api_key": "__redacted_api_key__"}',
        f"see https://example.com/?x=1&amp;access_token={SECRET}.".encode(),
        f'{{"db": "postgres:\\/\\/me:{SECRET}@host\\/db"}}'.encode(),
        f"<R><SecretAccessKey>{SECRET}</SecretAccessKey></R>".encode(),
        f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{SECRET}\r\n--x--\r\n'.encode(),
        json.dumps({"api_key": SECRET}).encode("utf-16"),
        json.dumps(["." .join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiJtZSJ9", "c2lnbmF0dXJl"])]).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_secrets_in_every_dress(body: bytes) -> None:
    assert check(answered(body))
    assert check(sent("https://a/", body))


@pytest.mark.parametrize(
    "dress",
    [
        str, quote, lambda text: quote(quote(text, safe=""), safe=""), lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(b"a" + text.encode() + b"!").decode(), lambda text: text.encode().hex() + text,
        lambda text: json.dumps(json.dumps(text)), lambda text: f"xx{text}xx",
    ],
)  # fmt: skip
def test_known_values_in_every_dress(dress: object) -> None:
    text = dress('so"me/va+lue 1')  # type: ignore[operator]
    url, header = f"https://a/?x={quote(text)}", ("X-Thing", text)
    for interactions in (answered(text.encode()), sent(url), sent("https://a/", b"", header)):
        assert "known value" in {leak.rule for leak in check(interactions, ['so"me/va+lue 1'])}


@pytest.mark.parametrize(
    "body",
    [
        b'{"usage": {"total_tokens": 12}, "next_page_token": "CAUQAA4fGh7Jk2LmN9", "max_tokens": null}',
        b'{"logprobs": [{"token": " hello", "logprob": -0.3}], "tokenizer": "cl100k_base"}',
        b'{"errors": {"password": ["This field is required."]}, "token_type": "bearer", "secret": "https://a/secret.png"}',
        b'{"id": "3f2504e04f8911d39a0c0305e82c3301", "key": "rte/hsp52a1kd9fj3"}',
        b'{"api_key": "REDACTED", "password": "***", "token": "<TOKEN>", "client_secret": "test-secret"}',
        b'{"access_token": "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9.__redacted_access_token__"}',
        b"grant_type=password&username=me&password=__redacted_password__",
        b"the sk-learn-documentation-example-page and risk-assessment-framework-guidelines",
        b"<html><a href='/x?page=2&datasetKey=3f2504e0-4f89-11d3-9a0c-0305e82c3301'>me@example.com</a></html>",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_no_secret(body: bytes) -> None:
    assert check(answered(body)) == []
    assert check(sent("https://a/", body)) == []


def test_headers_and_failures() -> None:
    assert check(sent("https://a/", b"", ("Authorization", "Bearer DUMMY"), ("x-api-key", "fake"))) == []
    basic = base64.b64encode(b"user:password").decode()
    assert check(sent("https://a/", b"", ("Authorization", f"Basic {basic}"), ("Cookie", "theme=dark; a=1"))) == []
    assert check(sent(f"https://me:{SECRET}@a/"))
    failed = Interaction(Request("GET", "https://a/"), Failure("connect", f"to https://a/?token={SECRET} failed"))
    assert places(check([failed])) == [("failure, token", "position")]


def test_a_finding_names_the_place_and_not_the_secret() -> None:
    found = check(answered(b"{}") + answered(json.dumps({"note": SECRET, "api_key": SECRET}).encode()), [SECRET])
    assert [str(leak) for leak in found] == [
        "interaction 2, response body: a known secret stands there (known value)",
        "interaction 2, response body, api_key: something else than a placeholder stands in a sensitive place (position)",
    ]


def test_it_shares_nothing_with_the_redactor() -> None:
    imported = {module for module in vars(leaks).values() if getattr(module, "__name__", "").startswith("respool")}
    assert redaction not in imported
    assert {shape.name for shape in SHAPES}.isdisjoint({"openai", "anthropic"} & set(REDACTED_SHAPES))
    assert {each.pattern.pattern for each in SHAPES}.isdisjoint(
        clue.expression for clues in REDACTED_SHAPES.values() for clue in clues
    )


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        b'["' + b"\\" * MEGABYTE, b"[" * MEGABYTE, b'{"token":' * (MEGABYTE // 9), b"?token=" * (MEGABYTE // 7),
        b"://a:b@" * (MEGABYTE // 7), b"a" * MEGABYTE, b"eyJ" * (MEGABYTE // 3), b"sk-" * (MEGABYTE // 3),
        b"-----BEGIN PRIVATE KEY-----" * (MEGABYTE // 27), b"--x\r\n" * (MEGABYTE // 5), b"data: {" * (MEGABYTE // 7),
        b"%41" * (MEGABYTE // 3), b"%2541 " * (MEGABYTE // 6), b"<a>" * (MEGABYTE // 3), b"a=" * (MEGABYTE // 2),
        base64.b64encode(base64.b64encode(base64.b64encode(b"text " * 80_000))), b"bearer " * (MEGABYTE // 7),
    ],
    ids=lambda text: repr(text[:9]),
)  # fmt: skip
@pytest.mark.timeout(120)
def test_no_text_is_slow(text: bytes) -> None:
    check(answered(text), [SECRET])


@settings(deadline=None)
@given(st.binary(), st.text())
def test_anything_can_be_looked_at(body: bytes, text: str) -> None:
    check(sent(f"https://a/{text}", body, ("Authorization", text), ("Cookie", text)), ["secret-value"])
    check(answered(text.encode("utf-8", "surrogatepass"), ("Set-Cookie", text)))
