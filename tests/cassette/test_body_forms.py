"""The forms of a body: a reviewer can read them, and they give back the very bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_cassettes import BODIES, VALUES
from respool.cassette import body_forms


@given(BODIES)
def test_the_very_bytes_come_back_also_through_json(body: bytes) -> None:
    form = body_forms.formed(body)
    assert body_forms.restored(json.loads(json.dumps(form))) == body
    assert len(form) == 1 or body_forms.styled(form)


@pytest.mark.parametrize(
    ("body", "style"),
    [
        (b'{"a":[1,2.5,null]}', "compact"),
        (b'{"a": [1, 2.5, null]}\n', "spaced newline"),
        ('{"å":"ü"}'.encode(), "compact"),
        (b'{"a": "\\u00fc"}', "spaced ascii"),
        (b'{"a":"\\u003cb\\u003e \\u0026"}\n', "compact html newline"),
        (b'{"a":"http:\\/\\/x"}', "compact slashes"),
        (b'{"a":"\\u00fc \\/"}', "compact ascii slashes"),
        (b"[]", "compact"),
    ],
)
def test_what_an_encoder_wrote_is_stored_as_json(body: bytes, style: str) -> None:
    assert body_forms.formed(body) == {"json": json.loads(body), "style": style}


@pytest.mark.parametrize(
    "body",
    [b'{"a":1.0e5}', b'{"a" :1}', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":-0}', b'{"a":"\\uD83D\\uDE00"}', b'{"a":"\\ud800"}',
     b"[" * 51 + b"]" * 51, b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b'{\n  "a": 1\n}', b'{"a":1', b"12"],
)  # fmt: skip
def test_what_no_style_gives_back_is_text(body: bytes) -> None:
    form = body_forms.formed(body)
    assert set(form) == {"text"}
    assert body_forms.restored(form) == body


def test_text_is_kept_by_its_lines() -> None:
    assert body_forms.formed(b"data: 1\r\n\r\ndata: 2") == {"text": ["data: 1\r\n", "\r\n", "data: 2"]}
    assert body_forms.formed(b"a=1&b=2") == {"text": "a=1&b=2"}
    assert body_forms.formed("line\u2028no line end".encode()) == {"text": "line\u2028no line end"}


def test_what_is_no_text_is_base64_by_lines() -> None:
    assert body_forms.formed(b"\x00\x01") == {"base64": "AAE="}
    lines = body_forms.formed(bytes(range(256)))["base64"]
    assert [len(line) for line in lines] == [96, 96, 96, 56]


@pytest.mark.parametrize(
    "form",
    [{}, {"text": 1}, {"text": ["a", 1]}, {"text": "\ud800"}, {"base64": "ä"}, {"base64": "AAE"}, {"base64": "AA*E="},
     {"base64": ["AA", None]},
     {"json": {}}, {"json": {}, "style": "pretty"}, {"json": {}, "style": []}, {"json": "\ud800", "style": "compact"},
     {"json": {}, "style": "compact", "text": ""}, {"text": "", "base64": ""}, {"raw": ""}],
)  # fmt: skip
def test_anything_else_is_misformed(form: dict[str, object]) -> None:
    with pytest.raises(body_forms.Misformed):
        body_forms.restored(form)


@given(st.dictionaries(st.sampled_from(["json", "style", "text", "base64", "x"]), VALUES | st.just("spaced"), max_size=3))
def test_any_form_gives_bytes_or_is_misformed(form: dict[str, object]) -> None:
    try:
        assert isinstance(body_forms.restored(form), bytes)
    except body_forms.Misformed:
        assert not body_forms.styled(form)
