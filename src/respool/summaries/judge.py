"""An optional second opinion: another model says of each claim whether the evidence bears it.

It sees the very evidence that the generator saw; judges that see other evidence reject true statements. Judging is a job of
its own: doing it again generates nothing again, and an outage leaves a summary unjudged, which is no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from respool import canonical
from respool.batch.context import Context
from respool.clusters.record import Record
from respool.summaries.costs import Budget
from respool.summaries.evidence import Evidence
from respool.summaries.generation import answered
from respool.summaries.identity import Work
from respool.summaries.prompts import JUDGE, judge_digest, judge_question
from respool.summaries.provider import Ask, Question
from respool.summaries.schemas import SUMMARIES, Judgement, claims_of, json_schema
from respool.summaries.settings import Model

AGAINST = ("unsupported", "contradicted")


@dataclass(frozen=True, slots=True)
class Hearing(Record):
    """What a judge is asked of one summary: all that decides the verdicts."""

    evidence: Evidence
    claims: tuple[str, ...]
    prompt: str
    schema: str
    model: Model


def hearing_of(payload: dict[str, Any], result: dict[str, Any], model: Model) -> Hearing:
    """The hearing of a summary, from the payload and the result of its generation."""
    work = Work.of_payload(payload)
    summary = SUMMARIES[work.evidence.kind].from_data(result["summary"])
    schema = canonical.digest("schema", canonical.encode(json_schema(Judgement)))
    return Hearing(work.evidence, tuple(claims_of(summary)), judge_digest(), schema, model)


async def judge(hearing: Hearing, context: Context, ask: Ask, budget: Budget) -> dict[str, Any]:
    """The item's result: a verdict for each claim, and whether they reject the summary. Raises as `summarise` does."""
    numbers = list(range(1, len(hearing.claims) + 1))

    def accept(judgement: Judgement) -> Sequence[str]:
        given = sorted(one.claim for one in judgement.verdicts)
        return [] if given == numbers else [f"$.verdicts: one for each of the claims {numbers}, not {given}"]

    first = Question(
        JUDGE, (("user", judge_question(hearing.evidence, hearing.claims)),), "judgement", json_schema(Judgement)
    )  # fmt: skip
    judgement, asked = await answered(Judgement, accept, hearing.model, first, context, ask, budget)
    verdicts = sorted(judgement.verdicts, key=lambda one: one.claim)
    return {
        "verdicts": [{"said": hearing.claims[one.claim - 1], **one.to_data()} for one in verdicts],
        "rejected": any(one.verdict in AGAINST for one in verdicts), "asked": asked.to_data(),
    }  # fmt: skip
