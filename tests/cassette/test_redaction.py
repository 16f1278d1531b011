"""What is taken out before anything is written or compared, what stays, and that both forms are one."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.cassette import codings
from respool.cassette.matching import Matching
from respool.cassette.model import PLACEHOLDER, Chunk, Failure, Interaction, Request, Response
from respool.cassette.redaction import DEFAULT, Env, Form, Header, Json, Path, Query, Redaction, Value, rule_id
from respool.cassette.redaction.known_values import spellings
from respool.errors import UsageError

KEY = "k9Fz-Lq2" + "xT7vB4nW8mYc3RdP"  # no maker's shape: what finds it are positions, and knowing it
JWT = ".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=").decode()
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"me","exp":1700000000,"mail":"me@example.com"}', b"signature" * 3)
)


def redacted(request: Request, *rules: object, **given: object) -> Request:
    return Redaction((*DEFAULT, *rules), **given).request(request)  # type: ignore[arg-type]


def url(text: str) -> str:
    return redacted(Request("GET", text)).url


def headers(*pairs: tuple[str, str]) -> dict[str, str]:
    return dict(redacted(Request("GET", "https://a/", pairs)).headers)


def body(text: str | bytes, *rules: object, **given: object) -> str:
    sent = text.encode() if isinstance(text, str) else text
    return redacted(Request("POST", "https://a/", (), sent), *rules, **given).body.decode()


def answer(text: str | bytes, *pairs: tuple[str, str]) -> Response:
    sent = text.encode() if isinstance(text, str) else text
    told = Interaction(Request("GET", "https://a/"), Response(200, headers=pairs, body=sent))
    response = Redaction().interaction(told).response
    assert isinstance(response, Response)
    return response


def test_headers() -> None:
    found = headers(
        ("Authorization", f"Bearer {KEY}"), ("proxy-authorization", "basic " + base64.b64encode(b"me:pass").decode()),
        ("X-Api-Key", "short"), ("Cookie", f"a={KEY}; theme=dark"), ("X-CSRF-Token", KEY), ("Accept", "text/html"),
        ("X-RateLimit-Remaining-Tokens", "12"), ("Idempotency-Key", "b2f3"), ("Ocp-Apim-Subscription-Key", KEY),
        ("Permissions-Policy", "publickey-credentials-create=(self)"), ("Location", f"https://a/?token={KEY}&b=1"),
    )  # fmt: skip
    assert found == {
        "Authorization": "Bearer __redacted_authorization__",
        "proxy-authorization": "basic __redacted_proxy-authorization__",
        "X-Api-Key": "__redacted_x-api-key__",
        "Cookie": "a=__redacted_a__; theme=__redacted_theme__",
        "X-CSRF-Token": "__redacted_x-csrf-token__",
        "Accept": "text/html",
        "X-RateLimit-Remaining-Tokens": "12",
        "Idempotency-Key": "b2f3",
        "Ocp-Apim-Subscription-Key": "__redacted_ocp-apim-subscription-key__",
        "Permissions-Policy": "publickey-credentials-create=(self)",
        "Location": "https://a/?token=__redacted_token__&b=1",
    }


def test_set_cookie_keeps_name_and_attributes() -> None:
    found = answer("", ("Set-Cookie", f'sid="{KEY}"; Path=/; HttpOnly'), ("set-cookie", "gone=; Max-Age=0")).headers
    assert found == (("Set-Cookie", "sid=__redacted_sid__; Path=/; HttpOnly"), ("set-cookie", "gone=; Max-Age=0"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://a/x?api_key=K&b=1", "https://a/x?api_key=__redacted_api_key__&b=1"),
        ("https://a/x?api%5Fkey=K", "https://a/x?api%5Fkey=__redacted_api_key__"),
        ("https://me:pass@a/x", "https://__redacted_userinfo__@a/x"),
        ("https://a/x?accessToken=", "https://a/x?accessToken="),
        ("https://a/x?key=PROJ-1", "https://a/x?key=PROJ-1"),
        (f"https://a/x?key={KEY}", "https://a/x?key=__redacted_key__"),
        ("https://a/x?key=test", "https://a/x?key=__redacted_key__"),
        ("https://a/x?next_page_token=abc&max_tokens=3&page=me@b", "https://a/x?next_page_token=abc&max_tokens=3&page=me@b"),
        ("https://a/cb#access_token=K", "https://a/cb#access_token=__redacted_access_token__"),
        (
            "https://a/?to=" + quote(f"https://b/?token={KEY}&c=ü", safe=""),
            "https://a/?to=" + quote("https://b/?token=__redacted_token__&c=ü", safe="-._~/:@!$,*()"),
        ),
        (f"https://a/?q=%22sk-{KEY}%22", "https://a/?q=%22__redacted_openai__%22"),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/" + "abCd" * 6,
            "https://hooks.slack.com/services/__redacted_slack-hook__",
        ),
    ],
)
def test_urls(before: str, after: str) -> None:
    assert url(before) == after
    assert url(after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{ "api_key":"K" ,"n": 1}', '{ "api_key":"__redacted_api_key__" ,"n": 1}'),
        ('{"a":[{"clientSecret":"\\u00fcx","d":"é"}]}', '{"a":[{"clientSecret":"__redacted_clientsecret__","d":"é"}]}'),
        ('{"pass\\u0077ord": "x"}', '{"pass\\u0077ord": "__redacted_password__"}'),
        ('{"headers": {"Authorization": ["Bearer x"]}}', '{"headers": {"Authorization": ["__redacted_authorization__"]}}'),
        ('{"password": 123456, "secret": true}', '{"password": 0, "secret": true}'),
        ('{"inner": "{\\"token\\": \\"' + KEY + '\\"}"}', '{"inner": "{\\"token\\": \\"__redacted_token__\\"}"}'),
        ('{"next": "https://a/?sig=K&b=1"}', '{"next": "https://a/?sig=__redacted_sig__&b=1"}'),
        (
            '{"html": "<a href=https://a/?src=https%3A%2F%2Fb%3FSignature%3DaBc%26c%3D1&w=2>"}',
            '{"html": "<a href=https://a/?src=https://b%3FSignature%3D__redacted_signature__%26c%3D1&w=2>"}',
        ),
        ('{"db": "postgres://me:pass@host/db"}', '{"db": "postgres://__redacted_userinfo__@host/db"}'),
        ('{"a": 1}\n{"token": "' + KEY + '"}\n', '{"a": 1}\n{"token": "__redacted_token__"}\n'),
        ('data: {"token": "' + KEY + '"}\n\ndata: [DONE]\n', 'data: {"token": "__redacted_token__"}\n\ndata: [DONE]\n'),
        ("user=me&password=p%20q&x=1", "user=me&password=__redacted_password__&x=1"),
        ("<a><ApiSecret>x/y</ApiSecret></a>", "<a><ApiSecret>__redacted_apisecret__</ApiSecret></a>"),
        (
            '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n--b--\r\n',
            '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n__redacted_password__\r\n--b--\r\n',
        ),
        (
            "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n",
            "__redacted_private-key__\n",
        ),
    ],
)
def test_bodies(before: str, after: str) -> None:
    assert body(before) == after
    assert body(after) == after
    packed = gzip.compress(before.encode())
    told = (("Content-Encoding", "gzip"), ("Content-Length", str(len(packed))))
    request = redacted(Request("POST", "https://a/", told, packed))
    assert codings.decode(request.body, ("gzip",)) == after.encode()
    assert dict(request.headers)["Content-Length"] == str(len(request.body))
    assert base64.b64decode(body(base64.b64encode(before.encode()))).decode() == after


@pytest.mark.parametrize(
    "text",
    [
        '{"usage": {"total_tokens": 12, "completion_tokens": 3}, "next_page_token": "CAUQAA", "tokenizer": "cl100k_base"}',
        '{"logprobs": [{"token": " hello", "logprob": -0.3, "bytes": [32]}], "max_tokens": 5}',
        '{"key": "PROJ-1", "keys": ["a"], "primary_key": "id", "monkey": "x", "author": "me", "design": "y"}',
        '{"token_type": "bearer", "expires_in": 3600, "password_policy": "strong", "client_id": "me", "secret": ""}',
        '{"signature": "EqoBCkgIARABGAIiQL8", "sha": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}',
        "the token is the secret of a key word",
        "<html><a href='/x?page=2&q=a%20b'>me@example.com</a></html>",
        "a=1&b=2",
        "",
    ],
)
def test_what_is_no_secret_keeps_every_byte(text: str) -> None:
    assert body(text) == text
    assert answer(text).body == text.encode()


def test_prose_under_a_sensitive_name_stays_in_answers() -> None:
    text = '{"errors": {"password": ["This field is required."], "token": null}}'
    assert answer(text).body == text.encode()


def test_what_was_met_in_a_position_is_found_elsewhere() -> None:
    request = Request("POST", f"https://a/{KEY}/x", (("X-Api-Key", KEY),), f"note: {KEY}!".encode())
    redaction = Redaction()
    found = redaction.interaction(Interaction(request, Response(200, body=f'{{"echo": "<{KEY}>"}}'.encode())))
    assert KEY not in str(found)
    assert found.request.url == "https://a/__redacted_x-api-key__/x"
    assert redaction.secrets == {KEY}
    later = redaction.request(Request("GET", "https://a/?q=" + base64.b64encode(f"me:{KEY}:".encode()).decode()))
    assert base64.b64decode(unquote(later.url.partition("q=")[2])) == b"me:__redacted_x-api-key__:"
    assert redaction.fresh().secrets == frozenset()


def test_a_password_inside_basic_is_known_by_itself() -> None:
    basic = "Basic " + base64.b64encode(f"someone:{KEY}".encode()).decode()
    request = Request("POST", "https://a/", (("Authorization", basic),), f"pw {KEY} of someone".encode())
    assert redacted(request).body == b"pw __redacted_authorization__ of someone"


def test_an_answers_token_is_found_in_later_requests() -> None:
    redaction = Redaction()
    told = Response(200, body=json.dumps({"access_token": KEY}).encode())
    redaction.interaction(Interaction(Request("GET", "https://a/"), told))
    assert redaction.request(Request("GET", f"https://a/{KEY}")).url == "https://a/__redacted_access_token__"


def test_a_jwt_stays_one_in_answers() -> None:
    text = answer(json.dumps({"id_token": JWT, "note": f"it is {JWT}."})).body.decode()
    assert JWT not in text
    head, claims, signature = json.loads(text)["id_token"].split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "none"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"exp": 1700000000}
    assert PLACEHOLDER.fullmatch(signature)
    assert body(text) == body(body(text))
    assert url(f"https://a/?jwt={JWT}") == "https://a/?jwt=__redacted_jwt__"


def test_the_environment() -> None:
    environ = {
        "SERVICE_TOKEN": KEY, "CTX": "declared one", "SHORT_TOKEN": "eleven_char", "SSH_AUTH_SOCK": "/tmp/agent.123456",
        "HOME": "/home/somebody", "DATABASE_URL": "postgres://me:pa55w0rd!x@h/db",
    }  # fmt: skip
    text = f"{KEY} declared one eleven_char /tmp/agent.123456 /home/somebody pa55w0rd!x"
    assert body(text, Env("CTX"), environ=environ) == (
        "__redacted_service_token__ __redacted_ctx__ eleven_char /tmp/agent.123456 /home/somebody "
        "__redacted_database_url-password__"
    )
    assert body(text, environ=environ, without=["env:by-name"]) == text


@pytest.mark.parametrize("value", [KEY, "pä/ss+wo rd\"&<1234>", "a/b+c==d0123"])
def test_a_known_value_in_every_dress(value: str) -> None:
    redaction = Redaction((*DEFAULT, Value(value, "mine")))
    for spelling in spellings(value):
        sent = spelling.encode("latin-1") if not spelling.isascii() and spelling != value else spelling.encode()
        found = redaction.request(Request("POST", "https://a/", (), b"text " + sent + b" text")).body
        assert found == b"text __redacted_mine__ text"
    for before in ("", "a", "ab", "abc", "abcd"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            sent = encode(f"{before}{value}. The end".encode())
            found = redaction.request(Request("POST", "https://a/", (), b'{"a": "' + sent + b'"}')).body
            assert base64.b64decode(json.loads(found)["a"], altchars=b"-_" if b"-" in sent or b"_" in sent else None) == (
                f"{before}__redacted_mine__. The end".encode()
            )


def test_base64_may_begin_anywhere_in_a_run() -> None:
    redaction = Redaction((*DEFAULT, Value(KEY, "mine")))
    for before in ("q/", "qr/", "qrs/", "qrst/"):
        sent = before.encode() + base64.b64encode(b"\xff" + KEY.encode() + b"\xfe")
        found = redaction.request(Request("POST", "https://a/", (), sent + b" ")).body.decode()
        assert base64.b64decode(found.removeprefix(before)) == b"\xff__redacted_mine__\xfe"


def test_a_key_is_found_by_its_shape_and_then_in_the_midst_of_bytes() -> None:
    key = "gh" + "p_" + "aB3x" * 9
    sent = json.dumps({"note": key, "blob": base64.b64encode(b"\xff\xfe" + key.encode()).decode()})
    found = json.loads(body(sent))
    assert found["note"] == "__redacted_github__"
    assert base64.b64decode(found["blob"]) == b"\xff\xfe__redacted_github__"


def test_placeholders_are_never_touched() -> None:
    assert body("__redacted_a__ redacted", Value("redacted", "x")) == "__redacted_a__ __redacted_x__"
    assert body("<<<key>>> key", Value("key", "k", placeholder="<<<key>>>")) == "<<<key>>> <<<key>>>"


def test_another_tools_placeholder_still_matches() -> None:
    environ = {"ctx_api_key": "s3cr3t+value/1"}
    redaction = Redaction((*DEFAULT, Env("ctx_api_key", placeholder="<<<API_KEY>>>")), environ)
    key = Matching().key
    for live, stored in (
        ("https://a/{}/x?q={}", "https://a/<<<API_KEY>>>/x?q=<<<API_KEY>>>"),
        ("https://a/{}/x?q={}", "https://a/%3C%3C%3CAPI_KEY%3E%3E%3E/x?q=%3C%3C%3CAPI_KEY%3E%3E%3E"),
        ("https://a/x?api_key={}&b={}", "https://a/x?api_key=<<<API_KEY>>>&b=<<<API_KEY>>>"),
    ):
        sent = live.replace("{}", quote(environ["ctx_api_key"], safe=""))
        assert key(redaction.request(Request("GET", sent))) == key(redaction.request(Request("GET", stored)))
    form = redaction.request(Request("POST", "https://a/", (), b"a=s3cr3t%2Bvalue%2F1"))
    assert key(form) == key(redaction.request(Request("POST", "https://a/", (), b"a=<<<API_KEY>>>")))
    assert b"s3cr3t" not in form.body


def test_rules_of_the_user() -> None:
    request = Request(
        "POST", "https://a/accounts/4711/x?who=me", (("X-Tenant", "acme"),), b'{"user": {"mail": "a@b", "age": 3}, "n": 4}'
    )
    found = redacted(
        request, Header("x-tenant"), Query("who", placeholder="WHO"), Json("$.user"), Path(r"/accounts/(\d+)", "account"),
    )  # fmt: skip
    assert found.url == "https://a/accounts/__redacted_account__/x?who=WHO"
    assert found.headers == (("X-Tenant", "__redacted_x-tenant__"),)
    assert found.body == b'{"user": {"mail": "__redacted_user__", "age": 0}, "n": 4}'
    assert body("a=1&b=2", Form("b")) == "a=1&b=__redacted_b__"
    assert body("id 12-34 and 5", Value(re.compile(r"\d+-(\d+)"), "half")) == "id 12-__redacted_half__ and 5"
    with_code = redacted(request, lambda given: given._replace(request=given.request._replace(body=b"")))
    assert with_code.body == b""


def test_rules_are_values() -> None:
    rules = [Header("a"), Query("a"), Form("a"), Json("$.a"), Env("a"), Path("a", "b"), Value("a", "b"), *DEFAULT]
    assert len(set(rules)) == len(rules) == len({rule_id(rule) for rule in rules})
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert Header("a") == Header("a")
    assert Header("a") != Header("a", placeholder="x")
    assert repr(Env("A", placeholder="<A>")) == "Env('A', '<A>')"
    with pytest.raises(AttributeError, match="its name cannot be changed"):
        Header("a").name = "b"
    with pytest.raises(UsageError, match="not ASCII"):
        Redaction((Env("A", placeholder="«A»"),))


def test_rules_can_be_switched_off() -> None:
    keys = (("Authorization", "Bearer x"), ("X-Api-Key", "y"))
    request = Request("GET", f"https://a/?api_key=K&x=ghp_{'aB3' * 12}", keys)
    assert redacted(request, without=["header:authorization", "header:by-name", "query:by-name", "value:github"]) == request
    with pytest.raises(UsageError, match=r"'header:authorisation' is .*\n.*did you mean 'header:authorization'"):
        redacted(request, without=["header:authorisation"])


def test_chunks_and_length_follow_the_body() -> None:
    pieces = [b'data: {"token": "', KEY.encode(), b'", "a": "', f'{KEY}"}}\n\n'.encode(), b"data: end\n"]
    response = Response(
        200, headers=(("Content-Length", str(sum(map(len, pieces)))),), body=b"".join(pieces),
        chunks=tuple(Chunk(len(piece), 0.5) for piece in pieces),
    )  # fmt: skip
    found = Redaction().interaction(Interaction(Request("GET", "https://a/"), response)).response
    assert isinstance(found, Response)
    assert found.body == b'data: {"token": "__redacted_token__", "a": "__redacted_token__"}\n\ndata: end\n'
    assert found.headers == (("Content-Length", str(len(found.body))),)
    sizes = [chunk.size for chunk in found.chunks]
    assert sum(sizes) == len(found.body)
    assert sizes == [17, 18, 9, 18 + 4, 10]
    encoded = response._replace(codings=("gzip",))
    kept = Redaction().interaction(Interaction(Request("GET", "https://a/"), encoded)).response
    assert isinstance(kept, Response)
    assert kept.headers == response.headers  # playback puts the codings on, and then the length


def test_a_body_that_is_not_encoded_as_its_headers_say() -> None:
    found = answer(f'{{"access_token": "{KEY}"}}', ("Content-Encoding", "gzip"))
    assert found.body == b'{"access_token": "__redacted_access_token__"}'
    request = Request("POST", "https://a/", (("Content-Encoding", "br"),), f"password={KEY}".encode())
    assert redacted(request).body == b"password=__redacted_password__"


def test_a_failure_is_redacted_too() -> None:
    failure = Failure("connect", "https://a/?token=K failed")
    found = Redaction().interaction(Interaction(Request("GET", "https://a/"), failure))
    assert found.response == Failure("connect", "https://a/?token=__redacted_token__ failed")


def test_cassettes_share_what_is_remembered_but_no_secret() -> None:
    redaction = Redaction()
    login = Request("GET", "https://a/", (("X-Api-Key", KEY),))
    later = Request("GET", f"https://a/{KEY}?b=1", (), KEY.encode())
    for _ in range(3):
        one = redaction.fresh()
        assert one.request(later) == later
        assert one.request(login).headers == (("X-Api-Key", "__redacted_x-api-key__"),)
        assert one.request(later)[1:] == ("https://a/__redacted_x-api-key__?b=1", (), b"__redacted_x-api-key__")
        assert one.secrets == {KEY}
        other = redaction.fresh()
        other.interaction(Interaction(Request("GET", "https://a/"), Response(200, body=b'{"access_token": "aB3dE5gH1"}')))
        assert other.request(later) == later
        assert other.request(login).headers == (("X-Api-Key", "__redacted_x-api-key__"),)
        assert other.request(Request("GET", f"https://a/{KEY}/aB3dE5gH1")).url == (
            "https://a/__redacted_x-api-key__/__redacted_access_token__"
        )
        assert other.secrets == {KEY, "aB3dE5gH1"}


def test_signatures_are_not_remembered_for_ever() -> None:
    redaction = Redaction()
    for number in range(200):
        redaction.request(Request("GET", f"https://a/?X-Amz-Signature={number:064x}"))
    assert len(redaction.secrets) == 0


def test_thousands_of_secrets() -> None:
    redaction = Redaction()
    for number in range(2000):
        redaction.request(Request("GET", "https://a/", (("X-Api-Key", f"{KEY}{number:06}"),)))
    assert len(redaction.secrets) == 2000
    text = redaction.request(Request("POST", "https://a/", (), f"{KEY}000042 {KEY}001999 {KEY}".encode())).body
    assert text == f"__redacted_x-api-key__ __redacted_x-api-key__ {KEY}".encode()


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        b'["' + b"\\" * MEGABYTE, b"[" + b'\\"' * (MEGABYTE // 2), b"[" * MEGABYTE, b'{"token":' * (MEGABYTE // 9),
        b"?token=" * (MEGABYTE // 7), b"://a:b@" * (MEGABYTE // 7), b"://" + b"a" * MEGABYTE, b"<token>" * (MEGABYTE // 7),
        b"eyJ" * (MEGABYTE // 3), b"sk-" * (MEGABYTE // 3), b"-----BEGIN PRIVATE KEY-----" * (MEGABYTE // 27),
        b"bearer " * (MEGABYTE // 7), b"a" * MEGABYTE, b"--x\r\n" * (MEGABYTE // 5), b"data: {" * (MEGABYTE // 7),
        b"data: {\n" * (MEGABYTE // 8), b"&=" * (MEGABYTE // 2), b"%" * MEGABYTE, b"\x00" * MEGABYTE,
        bytes(range(256)) * 4000,
    ],
    ids=lambda text: repr(text[:9]),
)  # fmt: skip
@pytest.mark.timeout(120)
def test_no_text_is_slow(text: bytes) -> None:
    redaction = Redaction((*DEFAULT, Value(KEY, "mine")))
    once = redaction.interaction(Interaction(Request("POST", "https://a/", (), text), Response(200, body=text)))
    assert (once.request.method, once.request.url) == ("POST", "https://a/")  # it came to an end, which is what is tested


NAMES = st.sampled_from(["a", "key", "token", "api_key", "password", "total_tokens", "session_id", "x-y", "sig", "ü"])
VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from([KEY, JWT, "test", "ghp_" + "aB3" * 12, f"https://me:pw@h/?token={KEY}", "<<<K>>>", "__redacted_a__"]),
    st.sampled_from([json.dumps({"token": KEY}), base64.b64encode(json.dumps({"secret": KEY}).encode()).decode()]),
)  # fmt: skip
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


def _query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name)}={quote(value, errors='surrogatepass')}" for name, value in pairs)


BODIES = st.one_of(
    st.binary(max_size=60),
    PAIRS.map(lambda pairs: json.dumps(dict(pairs)).encode()),
    PAIRS.map(lambda pairs: json.dumps(dict(pairs), ensure_ascii=False, indent=1).encode("utf-8", "replace")),
    PAIRS.map(lambda pairs: _query(pairs).encode()),
    PAIRS.map(lambda pairs: gzip.compress(json.dumps(pairs).encode(), mtime=0)),
    VALUES.map(lambda value: value.encode("utf-8", "replace")),
)
REQUESTS = st.builds(
    Request,
    st.sampled_from(["GET", "POST"]),
    PAIRS.map(lambda pairs: f"https://example.com/{KEY if len(pairs) == 2 else 'x'}?{_query(pairs)}"),
    st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "Cookie", "X-Api-Key", "Accept", "Location"]),
            VALUES.map(lambda value: value.encode("latin-1", "replace").decode("latin-1")),
        ),
        max_size=3,
    ).map(tuple),
    BODIES,
)
ENVIRON = {"SERVICE_TOKEN": KEY, "FOREIGN": "declared<&/value"}
RULES = (*DEFAULT, Env("FOREIGN", placeholder="<<<K>>>"))


@settings(deadline=None, max_examples=300)
@given(REQUESTS, st.booleans())
def test_redaction_is_idempotent_and_a_scrubbed_cassette_still_matches(request: Request, fresh: bool) -> None:
    redaction = Redaction(RULES, ENVIRON)
    once = redaction.request(request)
    assert KEY not in once.url
    assert KEY.encode() not in once.body
    again = redaction.fresh() if fresh else redaction
    assert again.request(once) == once
    rule = Matching(headers=("x-api-key", "accept"))
    assert rule.key(redaction.fresh().request(request)) == rule.key(redaction.fresh().request(once))


@settings(deadline=None, max_examples=200)
@given(REQUESTS, BODIES, st.lists(st.integers(0, 20), max_size=3))
def test_interactions_are_redacted_once_and_for_all(request: Request, text: bytes, cuts: list[int]) -> None:
    sizes = [min(cut, len(text) // 3) for cut in cuts]
    chunks = tuple(Chunk(size, 0.1) for size in [*sizes, len(text) - sum(sizes)]) if cuts else ()
    redaction = Redaction(RULES, ENVIRON)
    once = redaction.interaction(Interaction(request, Response(200, body=text, chunks=chunks)))
    assert redaction.interaction(once) == once
    assert isinstance(once.response, Response)
    assert sum(chunk.size for chunk in once.response.chunks) in (0, len(once.response.body))
    assert len(once.response.chunks) == len(chunks)
    assert KEY.encode() not in once.response.body
