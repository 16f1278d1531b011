"""Values that always change are known by their shapes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from respool.cassette.drift.volatile import Evidence, shape, shapeless


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("at", "2026-01-01", "2026-01-02", "date"),
        ("at", "2026-01-01T10:00:00.123Z", "2026-01-02 11:00:00+02:00", "date"),
        ("at", "Sat, 21 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", "date"),
        ("created", 1795000000, 1795000009, "date"),
        ("created", 1795000000123, 1795000009123, "date"),
        ("id", "0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a10", "0195d2c48c1e7b1aa6b53f2f7e1f9a11", "id"),
        ("digest", "d41d8cd98f00b204", "e41d8cd98f00b205", "token"),
        ("id", "chatcmpl-9aXbCdEfGhIjKlMnOpQr", "chatcmpl-8aXbCdEfGhIjKlMnOpQs", "token"),
        ("took", 12, 9, "duration"),
        ("elapsed_ms", 1.5, 0.5, "duration"),
        ("seq", 4, 5, "counter"),
        ("total", 5, 4, None),
        ("price", 1.5, 2.5, None),
        ("title", "spring", "summer", None),
        ("name", "internationalisation", "internationalisations", None),
        ("ok", False, True, None),
        ("symbol", "BRCA1", "BRCA2", None),
        ("at", "2026-01-01", "soon", None),
        ("attempts", 3, 2, None),
    ],
)
def test_shapes(name: str, old: Any, new: Any, expected: str | None) -> None:
    assert shape(name, old, new) == expected


def test_addresses_that_differ_in_an_id_are_equal_without_their_shapes() -> None:
    one, other = "/v1/jobs/0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a10", "/v1/jobs/0195d2c4-8c1e-7b1a-a6b5-3f2f7e1f9a11"
    assert shapeless(one) == shapeless(other) == "/v1/jobs/*"
    assert shapeless("/genes/BRCA1/page/2") == "/genes/BRCA1/page/2"


def test_only_what_changed_everywhere_and_in_one_shape_is_proposed() -> None:
    evidence = Evidence()
    for _ in range(2):
        shapes = {path: Counter({kind: 1}) for path, kind in (("$.at", "date"), ("$.n", "counter"), ("$.some", "date"))}
        evidence.add({**shapes, "$.text": Counter(other=1), "$.mixed": Counter(date=1, other=1)}, {"$.some": 1})
    assert [each.path for each in evidence.proposals(1)] == ["$.at", "$.n"]
    assert [each.path for each in evidence.proposals(2)] == ["$.at", "$.n", "$.text"]


def test_one_number_that_grew_is_news_and_so_are_many_in_one_answer() -> None:
    evidence = Evidence()
    evidence.add({"$.total": Counter(counter=1), "$.items[*].score": Counter(counter=9)}, {})
    assert evidence.proposals(1) == ()
