"""Every call to a model, written down in the folder of its try the moment it ends: question, answer, tokens, outcome.

This is the log of attempts that `respool jobs attempts` shows. It is also a receipt: if the runner dies between an answer and
its commit, the next try finds the answer here and does not pay for it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from respool.batch.context import Context
from respool.clusters.record import Record
from respool.errors import UsageError
from respool.files import write_atomic
from respool.summaries.provider import Usage

FILE = "exchange.json"
VALID = "valid"


@dataclass(frozen=True, slots=True)
class Exchange(Record):
    """One call. `work` names the item's work; `outcome` is "valid" or the kind of failure, with its `findings`."""

    work: str
    model: str
    question: str
    answer: str
    outcome: str
    findings: tuple[str, ...]
    seconds: float
    usage: Usage
    cost: float | None

    @property
    def answered(self) -> bool:
        """Whether the model gave an answer, good or bad: those are the calls that are counted and paid."""
        return self.usage != Usage() or bool(self.answer)


def keep(context: Context, exchange: Exchange) -> None:
    """Write the call of this try down."""
    write_atomic(context.folder / FILE, exchange.to_json(), durable=False)


def earlier(context: Context) -> list[Exchange]:
    """The calls of earlier tries of the same work, the first first."""
    found = [_read(folder / FILE) for folder in context.earlier]
    return [exchange for exchange in found if exchange is not None and exchange.work == context.idempotency_key]


def used(exchanges: Sequence[Exchange]) -> Usage:
    """The tokens of all of them, those of failed ones too."""
    return sum((exchange.usage for exchange in exchanges), Usage())


def _read(path: Path) -> Exchange | None:
    try:
        return Exchange.from_json(path.read_bytes())
    except (OSError, UsageError):
        return None
