"""Values on a tape: the placeholder's grammar and the look-up of a header."""

from __future__ import annotations

from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from respool.cassette import model


@given(st.text())
def test_a_placeholder_is_of_its_grammar_and_no_encoder_changes_it(name: str) -> None:
    made = model.placeholder(name)
    assert model.PLACEHOLDER.fullmatch(made)
    assert quote_plus(made) == made


def test_a_secret_that_only_contains_a_placeholder_is_none() -> None:
    assert model.PLACEHOLDER.fullmatch(model.placeholder("token") + "x") is None


def test_the_first_of_several_headers_is_found_in_any_case() -> None:
    headers = (("Set-Cookie", "a=1"), ("SET-COOKIE", "b=2"))
    assert model.header(headers, "set-cookie") == "a=1"
    assert model.header(headers, "cookie") is None
