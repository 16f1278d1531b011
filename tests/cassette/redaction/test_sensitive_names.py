"""Names that mean a secret, and names that only sound like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.cassette.redaction.sensitive_names import STEMS, Grade, grade, is_secret_variable

STRONG = """
  api_key apiKey APIKey apikey x-api-key access_token accessToken accesstoken refresh_token id_token auth_token client_secret
  password new_password1 user[password] passwd secret secretKey SecretAccessKey AccessKeyId aws_access_key_id session_id
  sessionId private_key csrf_token credentials Authorization jwt subscription-key api_keys bot_token
"""
WEAK = "token session auth pass"
NEUTRAL = """
  tokens max_tokens total_tokens completion_tokens prompt_tokens tokenizer next_page_token nextPageToken NextToken page_token
  continuation_token pad_token primary_key public_key keyboard monkey keywords author authority design passenger session_name
  key token_type token_endpoint password_policy secret_name client_id id signature expires_in idempotency_token key_id keys
  client_secret_expires_at prompt_cache_key searchToken
"""


@pytest.mark.parametrize(("names", "expected"), [(STRONG, Grade.STRONG), (WEAK, Grade.WEAK), (NEUTRAL, Grade.NEUTRAL)])
def test_fields_of_json(names: str, expected: Grade) -> None:
    assert {name: grade(name, "json") for name in names.split()} == dict.fromkeys(names.split(), expected)


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("token", "query", Grade.STRONG),
        ("X-Amz-Signature", "query", Grade.STRONG),
        ("sig", "query", Grade.STRONG),
        ("key", "query", Grade.WEAK),
        ("datasetKey", "query", Grade.NEUTRAL),
        ("key", "form", Grade.NEUTRAL),
        ("sig", "json", Grade.NEUTRAL),
        ("code", "query", Grade.WEAK),
        ("code", "json", Grade.NEUTRAL),
        ("Access-Control-Allow-Credentials", "header", Grade.NEUTRAL),
        ("Idempotency-Key", "header", Grade.NEUTRAL),
        ("X-RateLimit-Remaining-Tokens", "header", Grade.NEUTRAL),
        ("Mcp-Session-Id", "header", Grade.STRONG),
        ("X-Custom-Key", "header", Grade.WEAK),
    ],
)
def test_the_place_decides(name: str, place: str, expected: Grade) -> None:
    assert grade(name, place) is expected


def test_variables() -> None:
    yes = "OPENAI_API_KEY GH_TOKEN AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID DB_PASSWORD GITHUB_PAT SENTRY_DSN MY_CREDENTIALS"
    no = "PATH SSH_AUTH_SOCK TOKEN_URL KEYBOARD SESSION_MANAGER GPG_KEY PASSWORD_FILE TOKENIZERS_PARALLELISM"
    assert {name: is_secret_variable(name) for name in yes.split() + no.split()} == (
        dict.fromkeys(yes.split(), True) | dict.fromkeys(no.split(), False)
    )


@given(st.lists(st.sampled_from([stem.decode() for stem in STEMS] + ["api", "x", "id", "_", "Access", "Key"])).map("".join))
def test_every_name_that_counts_has_a_stem(name: str) -> None:
    for place in ("json", "query", "form", "xml", "header"):
        if grade(name, place) is not Grade.NEUTRAL:
            assert any(stem.decode() in name.lower() for stem in STEMS)
