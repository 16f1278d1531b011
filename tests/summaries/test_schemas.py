"""The types are the schema: what a provider is told, and what an answer is read with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from claims import functional_summary, phenotype_summary

from respool.errors import UsageError
from respool.summaries.schemas import (
    CitedFeature,
    FunctionalSummary,
    Judgement,
    Pattern,
    PhenotypeSummary,
    Theme,
    claims_of,
    json_schema,
)

KINDS = [FunctionalSummary, PhenotypeSummary, Judgement]


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [*([schema] if schema["type"] == "object" else []), *(found for one in inner for found in objects(one))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_requires_all_and_allows_nothing_else(kind: Any) -> None:
    for one in objects(json_schema(kind)):
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_are_small_and_plain(kind: Any) -> None:
    """A bare 400 is what one provider has to say to large ones."""
    text = json.dumps(json_schema(kind))
    assert len(text) < 2000
    assert not {"maxItems", "minItems", "pattern", "$ref", "anyOf"} & set(json.loads(json.dumps(text)).split('"'))


def test_answers_are_read_exactly() -> None:
    theme = Theme("n", "s", ("T:1",), ("A",))
    made = functional_summary(theme)
    assert FunctionalSummary.from_json(made.to_json()) == made
    data = made.to_data()
    for wrong in ({"more": 1}, {"confidence": "very"}, {"themes": [{"name": "n"}]}, {"title": 3}):
        with pytest.raises(UsageError):
            FunctionalSummary.from_data({**data, **wrong})


def test_claims_are_the_title_and_each_statement() -> None:
    pattern = Pattern("n", "s", (CitedFeature("f", "over"),))
    assert claims_of(phenotype_summary(pattern)) == ["A title", "n: s"]
