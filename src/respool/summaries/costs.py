"""Tokens and money: what was used, what a call may use at most, and a budget that no run goes beyond."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from respool.errors import TryFailed
from respool.summaries.provider import Usage, price
from respool.summaries.settings import Model

CHARACTERS_PER_TOKEN = 3.0  # on the safe side: ids, symbols and numbers have fewer than prose's four


def tokens_of(text: str) -> int:
    """About how many tokens a text has, rather too many than too few."""
    return int(len(text) / CHARACTERS_PER_TOKEN) + 1


def total_cost(costs: Iterable[float | None]) -> float | None:
    """The sum, or None if any part is unknown.

    >>> total_cost([0.5, 0.25]), total_cost([0.5, None])
    (0.75, None)
    """
    known = list(costs)
    return None if any(cost is None for cost in known) else sum(cost for cost in known if cost is not None)


def cost_text(cost: float | None) -> str:
    """Money for people.

    >>> cost_text(None), cost_text(0.01234)
    ('cost unknown', '$0.0123')
    """
    return "cost unknown" if cost is None else f"${cost:.4f}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What calls will come to if each is answered at the first try: tokens in, tokens out at most, and the cost."""

    calls: int
    input: int
    output: int
    cost: float | None


def forecast(model: Model, prompts: Iterable[str]) -> Forecast:
    """What asking `model` these prompts comes to at most, repairs aside."""
    tokens = [tokens_of(prompt) for prompt in prompts]
    output = model.max_tokens * len(tokens)
    return Forecast(len(tokens), sum(tokens), output, price(model, Usage(sum(tokens), output)))


class Budget:
    """What a run may spend. A call is only made if it fits in even at its longest, so the limit holds.

    >>> budget = Budget(None); held = budget.hold(Model("openai", "gpt-5-mini"), "a question"); budget.spend(held, 0.01)
    >>> budget.spent
    0.01
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = 0.0
        self._held = 0.0

    def hold(self, model: Model, prompt: str) -> float:
        """Set aside what a call may cost at most. Raises TryFailed("quota") if that is more than is left."""
        if self.limit is None:
            return 0.0
        most = price(model, Usage(tokens_of(prompt), model.max_tokens))
        if most is None:
            raise TryFailed("quota", f"the price of {model} is unknown, so that no limit on the cost can be held")
        if self.spent + self._held + most > self.limit:
            raise TryFailed(
                "quota", f"the limit on the cost of this run, ${self.limit:g}, is reached: ${self.spent:.4f} are spent, and "
                f"the next call may cost ${most:.4f}",
            )  # fmt: skip
        self._held += most
        return most

    def spend(self, held: float, cost: float | None) -> None:
        """The call for which `held` was set aside has cost so much."""
        self._held -= held
        self.spent += cost or 0.0
