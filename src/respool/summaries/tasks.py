"""The tasks: writing summaries of the clusters that a job found, and judging them, each a follow-up of the one before.

One retry policy, here: a throttle closes the provider's key and costs no try; an outage, a timeout and an answer that cannot
be used cost one of three, with 2^n + U(0, 1) seconds between; a bad key, an unknown model, an empty account and a spent
budget stop the job at once; a refusal is final.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from respool import canonical
from respool.batch.context import Context
from respool.batch.declaration import Task
from respool.batch.model import Kind
from respool.batch.policy import Breaker, Retry
from respool.batch.tasks import task, task_of
from respool.clusters.confidence import Confidence, confidence
from respool.clusters.model import Cluster, Clustering
from respool.errors import GiveUp, SkipItem, UsageError
from respool.summaries.costs import Budget
from respool.summaries.generation import summarise
from respool.summaries.identity import ASIDE, Known, Work, work_of
from respool.summaries.judge import Hearing, hearing_of, judge
from respool.summaries.provider import Ask, Provider
from respool.summaries.settings import Model, Settings, load_settings

NO_CLUSTERS = "no clusters"
MALFORMED = "malformed"  # the payload's field for a row that is no cluster, with the reason
_TRIED_AGAIN = frozenset({Kind.INVALID, Kind.TRUNCATED, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.CRASHED})
RETRY = Retry(attempts=3, base=2.0, jitter=0.0, spread=1.0, kinds=_TRIED_AGAIN)
BREAKER = Breaker(unauthorised=1, quota=1, unavailable=10)


@dataclass
class Session:
    """What the tasks of this process ask with: the settings, the way to the models, and what may be spent."""

    settings: Settings
    ask: Ask
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.settings.max_cost)


_sessions: list[Session] = []


@contextmanager
def session_with(settings: Settings, ask: Ask | None = None) -> Iterator[Session]:
    """Let the tasks of this process ask with `settings` for the length of a `with` block, recorded answers first."""
    provider = Provider(settings)
    if ask is None:
        provider.replay()
    opened = Session(settings, provider if ask is None else ask)
    _sessions.append(opened)
    try:
        yield opened
    finally:
        _sessions.remove(opened)
        if ask is None:
            provider.close()


def session() -> Session:
    """The innermost session, or one for the project's own settings, which then lasts as long as the process."""
    if not _sessions:
        provider = Provider(load_settings())
        provider.replay()
        _sessions.append(Session(load_settings(), provider))
    return _sessions[-1]


def expand_clusters(parent: list[dict[str, Any]], earlier: Sequence[Any]) -> dict[str, Any]:
    """The items of a summary job, from the results of a clustering job. Raises SkipItem if there is nothing to write, or
    nothing to write it with."""
    settings = session().settings
    rows = [row for one in parent for row in rows_of(one["result"])]
    if not rows:
        raise SkipItem(NO_CLUSTERS)
    if (missing := settings.missing()) is not None:
        raise SkipItem(missing)
    return items_of(rows, settings, Known(earlier))


Row = tuple[str, "Clustering | None", "Cluster | str"]
"""(key, the clustering, its cluster); or (key, None, why it is no cluster)."""


def rows_of(result: Any) -> list[Row]:
    """The clusters of a clustering's data, each for itself: a row that is none does not take the others with it.

    Raises UsageError if the whole is no clustering.
    """
    if result is None or result == {} or result == []:
        return []
    if not isinstance(result, dict) or not isinstance(result.get("clusters"), list | type(None)):
        raise UsageError("this is no clustering", why="a clustering is an object with a list of clusters")
    rows = result.get("clusters") or []
    if not rows:
        return []
    whole = Clustering.from_data({**result, "clusters": []})
    found: list[Row] = []
    for place, row in enumerate(rows, 1):
        try:
            cluster = Cluster.from_data(row, where=f"$.clusters[{place - 1}]")
            found.append((str(cluster.number), whole, cluster))
        except UsageError as error:
            found.append((f"row {place}", None, f"{error.where}: {error.what}"))
    return found


def items_of(rows: Sequence[Row], settings: Settings, known: Known, *, force: Sequence[str] | bool = False) -> dict[str, Any]:
    """Key → payload of each cluster's item; `force` asks for another edition of all, or of those keys."""
    model = settings.generator()
    items: dict[str, Any] = {}
    for key, whole, cluster in rows:
        if whole is None or not isinstance(cluster, Cluster):
            items[key] = {MALFORMED: str(cluster)}
            continue
        forced = force if isinstance(force, bool) else key in force
        work = known.current(work_of(whole, cluster, model, strict=settings.strict), forced=forced)
        items[key] = work.payload(known.why(work), confidence(cluster))
    return items


@task(
    retry=RETRY, breaker=BREAKER, timeout="10m", job_timeout="1h", max_pause="1h", aside=ASIDE, expand=expand_clusters,
    follows_as="summaries of {parent}",
)  # fmt: skip
async def llm_generation(payload: Any, context: Context) -> dict[str, Any]:
    """The summary of one cluster. `payload` is a Work with what stands aside, the result is that of generation.summarise."""
    if isinstance(payload, dict) and MALFORMED in payload:
        raise GiveUp(f"malformed: {payload[MALFORMED]}")
    try:
        work, trust = Work.of_payload(payload), Confidence.from_data(payload["confidence"])
    except (UsageError, KeyError, TypeError) as error:
        raise GiveUp(f"malformed: {error}") from None
    here = session()
    return await summarise(work, trust, context, here.ask, here.budget)


def expand_summaries(parent: list[dict[str, Any]]) -> dict[str, Any]:
    """The items of a judging job, from the results of a summary job. Raises SkipItem if there is no judge."""
    model = session().settings.judging()
    if model is None:
        raise SkipItem("no judge is configured")
    return {one["key"]: hearing_of(one["payload"], one["result"], model).to_data() for one in parent}


@task(
    retry=RETRY, breaker=BREAKER, timeout="10m", job_timeout="1h", max_pause="1h", expand=expand_summaries,
    follows_as="verdicts on {parent}",
)  # fmt: skip
async def llm_judgement(payload: Any, context: Context) -> dict[str, Any]:
    """The verdicts on one summary. `payload` is a Hearing, the result is that of judge.judge."""
    here = session()
    return await judge(Hearing.from_data(payload), context, here.ask, here.budget)


def generation_task(settings: Settings) -> Task:
    """The task that writes summaries as `settings` say: under the provider's limits, followed by the judge if there is one.

    It is what follows a clustering: `submit(clustering, ..., then=[(generation_task(settings), "success")])`. Raises
    UsageError for settings that cannot be; that nothing is configured is no error.
    """
    if settings.missing() is not None:
        return task_of(llm_generation)
    judging = settings.judging()
    writes = _asking(task_of(llm_generation), settings, settings.generator())
    if judging is None:
        return writes
    return replace(writes, then=((_asking(task_of(llm_judgement), settings, judging), "finish"),))


def _asking(plain: Task, settings: Settings, model: Model) -> Task:
    """The task as it asks this model. Another model is another version: finished parents are then followed up again."""
    version = canonical.digest(plain.version, model.to_json(), str(settings.strict))[:12]
    return replace(plain, version=version, limits=settings.limits(model), timeout=settings.timeout + 60)


GENERATION = task_of(llm_generation).name
JUDGEMENT = task_of(llm_judgement).name
