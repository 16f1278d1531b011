"""What a summary is known by, and why there is none yet.

The payload of a generation is exactly what decides its answer: the cluster, the evidence shown, the prompt, the schema, the
model with its parameters. So its fingerprint is the cache key, and the spool's finished items are the cache. This file makes
such payloads, and compares them with those that finished before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from respool import canonical
from respool.clusters.confidence import Confidence
from respool.clusters.model import Cluster, Clustering
from respool.clusters.record import Record
from respool.errors import UsageError
from respool.summaries.evidence import ALPHA, Evidence, evidence_of
from respool.summaries.prompts import prompt_digest
from respool.summaries.schemas import SUMMARIES, json_schema
from respool.summaries.settings import Model

ASIDE = ("why", "confidence")
"""Fields of a payload beside the work: they are no part of the fingerprint."""
ALIKE = 0.3  # Jaccard index above which an earlier cluster is called the same one with other members


@dataclass(frozen=True, slots=True)
class Work(Record):
    """One summary to be written. `edition` grows when somebody asks for another one of the same."""

    identity: str
    members: tuple[str, ...]
    evidence: Evidence
    prompt: str
    schema: str
    model: Model
    strict: bool = False
    edition: int = 0

    def payload(self, why: str | None, confidence: Confidence) -> dict[str, Any]:
        """The payload of the item; `why` it is not there yet, and the `confidence` that the data give, stand aside."""
        return {**self.to_data(), "why": why, "confidence": confidence.to_data()}

    @classmethod
    def of_payload(cls, payload: Any) -> Work:
        """The reverse. Raises UsageError."""
        if not isinstance(payload, dict):
            raise UsageError("this is no cluster", where="$")
        return cls.from_data({name: value for name, value in payload.items() if name not in ASIDE})


def work_of(clustering: Clustering, cluster: Cluster, model: Model, *, alpha: float = ALPHA, strict: bool = False) -> Work:
    """The work of summarising one cluster with one model."""
    schema = canonical.digest("schema", canonical.encode(json_schema(SUMMARIES[cluster.kind])))
    return Work(
        cluster.identity, cluster.members, evidence_of(clustering, cluster, alpha=alpha), prompt_digest(cluster.kind), schema,
        model, strict,
    )  # fmt: skip


class Known:
    """What finished before, by cluster and by member."""

    def __init__(self, payloads: Iterable[Any]) -> None:
        self._works: list[Work] = []
        self._by_identity: dict[str, list[Work]] = defaultdict(list)
        self._by_member: dict[str, list[int]] = defaultdict(list)
        for payload in payloads:
            try:
                self._add(Work.of_payload(payload))
            except UsageError:
                continue  # of another version of this program: no hit, and nothing to compare with

    def _add(self, work: Work) -> None:
        for member in work.members:
            self._by_member[member].append(len(self._works))
        self._works.append(work)
        self._by_identity[work.identity].append(work)

    def current(self, work: Work, *, forced: bool = False) -> Work:
        """The work in its latest edition, or in a new one if that is `forced`."""
        same = [one.edition for one in self._by_identity[work.identity] if replace(one, edition=0) == work]
        return work if not same else replace(work, edition=max(same) + forced)

    def why(self, work: Work) -> str | None:
        """Why this work has to be done; None if it is done already."""
        of_cluster = self._by_identity.get(work.identity, [])
        if work in of_cluster:
            return None
        if of_cluster:
            return min((_difference(work, one) for one in of_cluster), key=lambda text: (text.count(","), text))
        alike = self._most_alike(work.members)
        if alike is None:
            return "new"
        before, now = set(alike.members), set(work.members)
        return f"members changed +{len(now - before)}/−{len(before - now)}"

    def _most_alike(self, members: Collection[str]) -> Work | None:
        shared = Counter(at for member in members for at in self._by_member.get(member, ()))
        best, score = None, ALIKE
        for at, count in shared.items():
            alike = count / (len(members) + len(self._works[at].members) - count)
            if alike >= score:
                best, score = self._works[at], alike
        return best


def _difference(work: Work, other: Work) -> str:
    """What of the same cluster's work is not as it was, as words."""
    if replace(work, edition=other.edition) == other:
        return "forced"
    words = []
    if work.evidence != other.evidence:
        words.append("evidence")
    if work.prompt != other.prompt:
        words.append("prompt")
    if work.schema != other.schema:
        words.append("schema")
    if work.model != other.model:
        same = replace(work.model, name=other.model.name, provider=other.model.provider, url=other.model.url)
        words.append("model's parameters" if same == work.model else f"model ({other.model.name} → {work.model.name})")
    if work.strict != other.strict:
        words.append("strictness")
    return ", ".join(words) + " changed"
