"""The quick look says "harmless" only of what the rules would leave alone."""

from __future__ import annotations

import base64
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from respool.cassette.redaction.known_values import KnownValues
from respool.cassette.redaction.quick_look import is_harmless, is_harmless_header, is_harmless_url
from respool.cassette.redaction.rules import DEFAULT, plan
from respool.cassette.redaction.secret_values import Values
from respool.cassette.redaction.sensitive_positions import Positions

PIECES = st.sampled_from(
    [
        *"\":= &?{}[<>\\%@\n.;#_-/\u00e9", "token", "api_key", "password", "sig", "key", "a", "</", "http://",
        "aB3dE5gH1jK2mN4", "sk-", "bearer ", "Basic ", "data: ", "eyJ", "code", "--x\r\n", "u00",
        "https://hooks.slack.com/services/", "/bot", "123456789:", "-----BEGIN PRIVATE KEY-----", "AKIA",
        base64.b64encode(b'{"token": "x"}').decode(), json.dumps({"password": "x"}), "name=", "%3D", "%26", "%3F",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def full(text: str, what: str) -> str:
    rules, known = plan(DEFAULT, (), {}, "(?!)"), KnownValues()
    values = Values(rules, known, answer=False)
    positions = Positions(rules, known, answer=False, inside=values.text)
    if what == "url":
        return values.text(positions.url(text))
    if what == "body":
        return values.text(positions.text(text))
    return values.text(positions.headers(((what, text),))[0][1])


@settings(max_examples=600, deadline=None)
@given(TEXTS)
@example('{"a": "x?token=y"}')
@example(":api_key=:")
@example("token%3F=:")
@example("%74oken=:")
@example("ya29.aB3dE5gH1jK2mN4aB3dE5")
@example('{"code":"aB3dE5gH1jK2mN4aB3"}')
def test_harmless_means_untouched(text: str) -> None:
    for body in (text, '{"a": "' + text.replace('"', '\\"').replace("\n", "") + '", "b": 1}', f"<a>{text}</a>"):
        if is_harmless(body.encode("latin-1")):
            assert full(body, "body") == body
    for url in (f"https://a/{text}", f"https://a/?{text}", f"https://a/?x={text}"):
        if is_harmless_url(url):
            assert full(url, "url") == url
    for name in ("Location", "X-Thing"):
        if is_harmless_header(name, text):
            assert full(text, name) == text


def test_the_quick_look_is_not_blind_to_everything() -> None:
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hello, how are you?\nFine."}], "max_tokens": 5}
    assert is_harmless(json.dumps(chat).encode())
    assert is_harmless_url("https://api.example.com/v1/things?limit=3&page_token=x")
    assert is_harmless_header("User-Agent", "python-requests/2.32.3")
