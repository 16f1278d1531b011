"""One try at one summary: ask, read, check; what is wrong is a finding that the next try asks to mend.

A try makes at most one call, so the item's budget of tries is the budget of calls, repairs included. What is not an answer
(a throttle, an outage, a bad key) is raised as what it is, and the batch decides; see policy in tasks.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from respool import canonical
from respool.batch.context import Context
from respool.clusters.confidence import Confidence
from respool.clusters.record import Record
from respool.errors import GiveUp, TryFailed, UsageError
from respool.phrases import counted
from respool.summaries import exchanges
from respool.summaries.checks import Checked, check
from respool.summaries.costs import Budget, total_cost
from respool.summaries.exchanges import VALID, Exchange
from respool.summaries.identity import Work
from respool.summaries.prompts import SYSTEM, question, repair
from respool.summaries.provider import Answer, Ask, Question, Usage, price
from respool.summaries.schemas import SUMMARIES, Level, Summary, json_schema
from respool.summaries.settings import Model

R = TypeVar("R", bound=Record)
Accept = Callable[[R], Sequence[str]]
"""Says what is wrong with an answer that has the right form: findings, none if it is good."""
KEPT = 12_000  # characters of an unusable answer that are sent back to be mended
_LEVELS = {"none": -1, "low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True, slots=True)
class Asked(Record):
    """What an accepted answer took: calls that were answered, tokens and cost of all of them, the seconds of the last."""

    model: str
    calls: int
    usage: Usage
    cost: float | None
    seconds: float


async def summarise(work: Work, trust: Confidence, context: Context, ask: Ask, budget: Budget) -> dict[str, Any]:
    """The item's result: the summary, what it mentions from outside, both confidences, and what it took.

    Raises TryFailed ("invalid" with the findings, "truncated", "refused" and all that `ask` raises) or GiveUp.
    """
    kind = SUMMARIES[work.evidence.kind]

    checked = Checked(())

    def accept(summary: Summary) -> Sequence[str]:
        nonlocal checked
        checked = check(work.evidence, summary, strict=work.strict)
        return [str(one) for one in checked.violations]

    first = Question(
        SYSTEM[work.evidence.kind], (("user", question(work.evidence)),), "summary", json_schema(kind)
    )  # fmt: skip
    summary, asked = await answered(kind, accept, work.model, first, context, ask, budget)
    return {
        "summary": summary.to_data(), "mentions": [one.to_data() for one in checked.mentions],
        "confidence": compared(trust, summary.confidence), "asked": asked.to_data(),
    }  # fmt: skip


def compared(trust: Confidence, said: Level) -> dict[str, Any]:
    """The confidence that the data give beside the model's own; `mismatch` if one is two levels from the other."""
    far = abs(_LEVELS[trust.level.value] - _LEVELS[said]) >= 2
    return {"data": trust.level.value, "reasons": list(trust.reasons), "model": said, "mismatch": far}


async def answered(
    kind: type[R], accept: Callable[[Any], Sequence[str]], model: Model, first: Question, context: Context, ask: Ask,
    budget: Budget,
) -> tuple[R, Asked]:  # fmt: skip
    """An answer of this kind that is accepted, from at most one call, and what it took in all tries so far."""
    before = exchanges.earlier(context)
    if before and before[-1].outcome == VALID:  # its runner died before this was committed: it is not paid for twice
        value = kind.from_json(_bare(before[-1].answer))
        accept(value)
        return value, _asked(model, before)
    asking = _repairing(first, before)
    context.note(f"asking {model}" + (" again" if len(asking.turns) > 1 else ""))
    held = budget.hold(model, asking.text())
    log = _Log(context, model, asking)
    try:
        answer = await ask(model, asking)
    except (TryFailed, GiveUp) as error:
        budget.spend(held, None)
        log.keep(error.kind if isinstance(error, TryFailed) else "raised", [error.what])
        raise
    except BaseException:
        budget.spend(held, None)
        raise
    cost = price(model, answer.usage)
    budget.spend(held, cost)
    try:
        value = _accepted(kind, accept, answer, model)
    except _Unusable as unusable:
        log.keep(unusable.kind, unusable.findings, answer, cost)
        raise TryFailed(unusable.kind, _told(unusable)) from None
    done = log.keep(VALID, [], answer, cost)
    return value, _asked(model, [*before, done])


class _Unusable(Exception):
    """An answer that cannot be used, with the kind and the findings."""

    def __init__(self, kind: str, findings: Sequence[str]) -> None:
        super().__init__(kind)
        self.kind, self.findings = kind, findings


def _accepted(kind: type[R], accept: Callable[[Any], Sequence[str]], answer: Answer, model: Model) -> R:
    if answer.finish == "content_filter":
        raise _Unusable("refused", [f"the model declined: {answer.text[:300] or 'without a reason'}"])
    if answer.finish == "length":
        raise _Unusable("truncated", [_cut(answer, model)])
    try:
        value = kind.from_data(canonical.decode(_bare(answer.text)))
    except canonical.NotCanonical as error:
        raise _Unusable("invalid", [f"the answer is no JSON: {error}"]) from None
    except UsageError as error:
        raise _Unusable("invalid", [f"{error.where or '$'}: {error.what}"]) from None
    if findings := accept(value):
        raise _Unusable("invalid", findings)
    return value


def _cut(answer: Answer, model: Model) -> str:
    """Where an answer was cut: at what is allowed, or before that, as at the end of a local model's context."""
    if 0 < answer.usage.output < model.max_tokens:
        used = f"{answer.usage.output} tokens, before the {model.max_tokens} that are allowed"
        return f"the answer was cut after {used}; be briefer"
    return f"the answer was cut at {model.max_tokens} tokens; be briefer"


def _bare(text: str) -> str:
    """The JSON of an answer: some models put it into a fence."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json")
    return text.strip()


def _repairing(first: Question, before: Sequence[Exchange]) -> Question:
    """The question, with the last answer that could not be used and what was wrong with it."""
    unusable = [one for one in before if one.outcome in ("invalid", "truncated")]
    if not unusable:
        return first
    bad, turns = unusable[-1], [*first.turns]
    told = repair(bad.findings, len(unusable))
    if bad.outcome == "invalid" and bad.answer:
        turns += [("model", bad.answer[:KEPT]), ("user", told)]
    else:  # half an answer is no example
        turns = [("user", f"{first.turns[0][1]}\n{told}")]
    return Question(first.system, tuple(turns), first.schema_name, first.schema)


def _told(unusable: _Unusable) -> str:
    more = len(unusable.findings) - 1
    return unusable.findings[0] + (f" (and {counted(more, 'finding')} more)" if more else "")


def _asked(model: Model, calls: Sequence[Exchange]) -> Asked:
    paid = [one for one in calls if one.answered]
    return Asked(str(model), len(paid), exchanges.used(paid), total_cost(one.cost for one in paid), calls[-1].seconds)


class _Log:
    """Writes the one call of a try down."""

    def __init__(self, context: Context, model: Model, asking: Question) -> None:
        self._context, self._model, self._asking = context, model, asking

    def keep(
        self, outcome: str, findings: Sequence[str], answer: Answer | None = None, cost: float | None = None
    ) -> Exchange:
        given = answer or Answer("", "", Usage(), 0.0)
        exchange = Exchange(
            self._context.idempotency_key, str(self._model), _storable(self._asking.text()),
            _storable(given.text), outcome, tuple(_storable(one) for one in findings),
            round(given.seconds, 3), given.usage, cost,
        )  # fmt: skip
        exchanges.keep(self._context, exchange)
        return exchange


def _storable(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold and a broken answer may."""
    return text if text.isascii() else json.loads(json.dumps(text)).encode("utf-8", "replace").decode("utf-8")
