"""What leaves through the web is redacted as cassettes are."""

from __future__ import annotations

import pytest

from respool.web.redacting import Redactor

KEY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


def test_names_shapes_and_copies() -> None:
    document = [{"password": "Zx81hd72jsoqp1", "text": f"see {KEY}", "max_tokens": 5}, {"note": "Zx81hd72jsoqp1 is it"}]
    assert Redactor().redacted(document) == [
        {"password": "__redacted_password__", "text": "see __redacted_github__", "max_tokens": 5},
        {"note": "__redacted_password__ is it"},
    ]


def test_what_is_no_secret_stays_as_it_is() -> None:
    document = {"name": "Oslo", "numbers": [1, 2.5, None, True], "deep": {"next_page_token": "abc"}, "lone": "\ud800 <b>"}
    assert Redactor().redacted(document) is document


def test_nothing_is_remembered() -> None:
    redactor = Redactor()
    redactor.redacted({"password": "Zx81hd72jsoqp1"})
    assert redactor.redacted({"note": "Zx81hd72jsoqp1"}) == {"note": "Zx81hd72jsoqp1"}


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_API_KEY", "quite-long-and-secret-9")
    assert "quite-long" not in str(Redactor().redacted({"message": "401 for quite-long-and-secret-9"}))
