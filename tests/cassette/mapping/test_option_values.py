"""Values of options that Python would let pass, and that mean something else than was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool import Header, use_cassette
from respool.cassette.mapping.option_values import complaint
from respool.errors import UsageError


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ignore_json", "$.nonce", "ignore_json='$.nonce' is no list: ignore_json=['$.nonce']"),
        ("headers", b"accept", "headers=b'accept' is no list: headers=[b'accept']"),
        ("without", [3], "without holds 3, which is not a text"),
        ("allow_status", ["404"], "allow_status holds '404', which is not a status"),
        ("repeats", "no", "repeats='no' is not True or False"),
        ("redact", "x-tenant", "redact='x-tenant' is no list of rules: redact=[Header('x-tenant')]"),
        ("redact", ["x-tenant"], "redact holds 'x-tenant', which is no rule: Header, Query, Form, Json, Path, Value or Env"),
        ("unplayed", None, "unplayed=None is not 'report' or 'fail'"),
        ("allow_status", None, None),
        ("allow_status", range(400, 500), None),
        ("redact", (Header("x-tenant"), print), None),
        ("ignore_query", frozenset(("ts",)), None),
        ("somebody else's", 3, None),
    ],
)
def test_what_is_told(name: str, value: object, told: str | None) -> None:
    assert complaint(name, value) == told


def test_use_cassette_tells_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ignore_query='ts' is no list"):
        use_cassette(tmp_path / "a.json", ignore_query="ts")
    with pytest.raises(UsageError, match="allow_status=404 is no list"):
        use_cassette(tmp_path / "a.json", allow_status=404)  # type: ignore[arg-type]
