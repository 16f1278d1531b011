"""vcrpy's Cassette as a face of our deck."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from respool.cassette.deck import Deck
from respool.cassette.matching import Matching
from respool.cassette.model import Cassette as Tape
from respool.cassette.model import Failure, Interaction, Mode, Response
from respool.cassette.model import Request as Ours
from respool.cassette.recording import STAGED, redaction_here
from respool.cassette.redaction import Redaction
from respool.compat.vcr import responses
from respool.compat.vcr.errors import CannotOverwriteExistingCassetteException, UnhandledHTTPRequestError
from respool.compat.vcr.persisters.filesystem import CassetteNotFoundError, FilesystemPersister
from respool.compat.vcr.record_mode import RecordMode
from respool.compat.vcr.request import Request
from respool.errors import CassetteMissing, RequestNotRecorded

Pair = tuple[Request, dict[str, Any]]


class Pipeline(NamedTuple):
    """What is done to requests, to responses, and to both before saving and after loading. None drops them."""

    requests: list[Callable[[Request], Request | None]]
    answers: list[Callable[[dict[str, Any]], dict[str, Any] | None]]
    save: list[Callable[..., Any]]
    load: list[Callable[..., Any]]

    def request(self, request: Ours, /) -> Ours | None:
        """The form that is matched and kept; None for a request that is none of this cassette's business."""
        if not self.requests:
            return request
        changed: Request | None = Request.of(request)
        for step in self.requests:
            changed = None if changed is None else step(changed)
        return None if changed is None else changed.ours()

    def answer(self, response: dict[str, Any]) -> dict[str, Any] | None:
        """The response that is kept."""
        changed: dict[str, Any] | None = copy.deepcopy(response) if self.answers else response
        for step in self.answers:
            changed = None if changed is None else step(changed)
        return changed


class _Redactor(NamedTuple):
    """For a cassette that holds placeholders of ours our redaction, then the filters: both sides are compared in one form."""

    pipeline: Pipeline
    redaction: Redaction | None

    def request(self, request: Ours, /) -> Ours | None:
        """The form in which a request is matched."""
        return self.pipeline.request(request if self.redaction is None else self.redaction.request(request))


class _VcrDeck(Deck):
    """Our deck, whose miss is vcrpy's exception, and which plays what it recorded itself where vcrpy does."""

    face: Cassette
    rereadable = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._replays: list[int] = []  # of what was recorded, in the order of playing

    @property
    def plays(self) -> tuple[int, ...]:
        """As everywhere; what was recorded since has the indices behind those of the tape."""
        behind = len(self.cassette.interactions)
        return (*super().plays, *(behind + place for place in self._replays))

    @property
    def played(self) -> int:
        """How many requests were answered, from the tape or from what was recorded since."""
        return super().played + len(self._replays)

    def played_again(self, request: Ours) -> Response | Failure | None:
        """vcrpy's rule: on a cassette that was there before each recorded answer is played once; with repeats, always."""
        if not (self.face.rewound or self.repeats):
            return None
        for place, (stored, answer) in enumerate(self.face.recorded()):
            if (self.repeats or place not in self._replays) and self.face.agree(request, stored):
                self._replays.append(place)
                return responses.ours(answer)
        return None

    def missed(self, request: Ours) -> RequestNotRecorded:
        plain = super().missed(request)
        error = CannotOverwriteExistingCassetteException(plain.what, where=plain.where, why=plain.why, command=plain.command)
        error.cassette, error.failed_request = self.face, Request.of(request)
        return error


class Cassette:
    """Recorded requests and responses, with vcrpy's names for how they stand."""

    def __init__(
        self, path: str, *, serializer: Any, persister: Any, record_mode: RecordMode, match_on: tuple[str, ...],
        own_matchers: dict[str, Any], pipeline: Pipeline, inject: bool = False, allow_playback_repeats: bool = False,
        drop_unused_requests: bool = False, afresh: bool = False,
    ) -> None:  # fmt: skip
        """`afresh` leaves the stored interactions out: what is recorded takes their place."""
        self.inject = inject
        self.record_mode = record_mode
        self.rewound = False
        throttle = None
        if STAGED:
            from respool.compat.vcr.staged import staged

            path, self.record_mode, throttle = staged(path)
        self._path = path
        self._serializer = serializer
        self._persister = persister
        self._pipeline = pipeline
        self._drop_unused = drop_unused_requests
        self._metadata: dict[str, Any] = {}
        stored = [] if afresh and not STAGED else self._loaded()
        redacted = any(_holds_placeholder(each.request) for each in stored)
        self._redactor = _Redactor(pipeline, redaction_here() if redacted else None)
        matchers = {name: _on_ours(matcher) for name, matcher in own_matchers.items()}
        self._matching = Matching.of_vcr(match_on, matchers)
        self._deck = _VcrDeck(
            Tape(tuple(stored)), self._matching, self._redactor, self._mode(), name=path, repeats=allow_playback_repeats,
            command="delete the cassette, or run with --record-mode=new_episodes, to record it", throttle=throttle,
        )  # fmt: skip
        self._deck.face = self
        self._pairs: list[Pair] | None = None

    def _mode(self) -> Mode:
        if self.record_mode is RecordMode.ALL:
            return Mode.RERECORD
        return Mode.REPLAY if self.write_protected else Mode.FILL

    @property
    def deck(self) -> Deck:
        """Our own view of this cassette."""
        return self._deck

    @property
    def path(self) -> str:
        """Where it is loaded from and saved to."""
        return self._path

    @property
    def write_protected(self) -> bool:
        """Whether nothing may be recorded."""
        return self.record_mode is RecordMode.NONE or (self.rewound and self.record_mode is RecordMode.ONCE)

    @property
    def data(self) -> list[Pair]:
        """(request, response) of everything stored and recorded so far."""
        if self._pairs is None:
            self._pairs = self._stored()
        return [*self._pairs, *self.recorded()]

    def recorded(self) -> list[Pair]:
        """(request, response) of what was recorded since it was opened, after the filters."""
        return [pair for each in self._deck.fresh if (pair := self._kept(each)) is not None]

    @property
    def requests(self) -> list[Request]:
        """The requests, in order."""
        return [request for request, _ in self.data]

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The responses, in order."""
        return [response for _, response in self.data]

    @property
    def play_counts(self) -> Counter[int]:
        """How often each stored interaction was played."""
        return Counter(self._deck.plays)

    @property
    def play_count(self) -> int:
        """How many requests were played."""
        return self._deck.played

    @property
    def all_played(self) -> bool:
        """Whether each interaction was played."""
        return len(self.play_counts) == len(self)

    @property
    def dirty(self) -> bool:
        """Whether there is something to save."""
        return self._deck.recorded > 0 or bool(self._metadata)

    def responses_of(self, request: Request) -> list[dict[str, Any]]:
        """All responses to such a request. Raises UnhandledHTTPRequestError."""
        found = [response for stored, response in self.data if self._same(request, stored)]
        if not found:
            raise UnhandledHTTPRequestError(f"{request!r} is not on the cassette {self._path!r}")
        return found

    def can_play_response_for(self, request: Request) -> bool:
        """Whether the next such request would be played."""
        return self.record_mode is not RecordMode.ALL and request in self

    def __contains__(self, request: Request) -> bool:
        played = self.play_counts
        return any(
            self._same(request, stored) and (self._deck.repeats or not played[place])
            for place, (stored, _) in enumerate(self.data)
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._deck.cassette.interactions) + self._deck.recorded

    def __str__(self) -> str:
        return f"<Cassette containing {len(self)} recorded response(s)>"

    def get_metadata(self, key: str, default: Any) -> Any:
        """A value stored with the cassette, or `default`, which is stored then. Raises as for a missed request."""
        if key not in self._metadata:
            if self.write_protected:
                raise CannotOverwriteExistingCassetteException(f"the cassette {self._path!r} holds no {key!r}")
            self._metadata[key] = default
        return self._metadata[key]

    def _same(self, live: Request, stored: Request) -> bool:
        ours = self._redactor.request(live.ours())
        return ours is not None and self.agree(ours, stored)

    def agree(self, filtered: Ours, stored: Request) -> bool:
        """Whether a filtered request is the same as a stored one."""
        recorded = stored.ours()
        return self._matching.key(filtered) == self._matching.key(recorded) and self._matching.agrees(filtered, recorded)

    def _stored(self) -> list[Pair]:
        interactions = self._deck.cassette.interactions
        return [(Request.of(each.request), responses.of_ours(each.response)) for each in interactions]

    def _kept(self, fresh: Interaction) -> Pair | None:
        """A recorded interaction after the filters."""
        request = self._pipeline.request(fresh.request)
        if request is None or isinstance(fresh.response, Failure):
            return None
        answer = self._pipeline.answer(responses.of_ours(fresh.response))
        return None if answer is None else (Request.of(request), answer)

    def _loaded(self) -> list[Interaction]:
        stored = self._plain() if self._is_plain() else self._through_persister()
        if not (self._pipeline.requests or self._pipeline.answers):
            return stored
        kept = []
        for each in stored:
            request = self._pipeline.request(each.request)
            answer: Any = each.response
            if self._pipeline.answers and not isinstance(answer, Failure):
                changed = self._pipeline.answer(responses.of_ours(answer))
                answer = None if changed is None else responses.ours(changed)
            if request is not None and answer is not None:
                kept.append(Interaction(request, answer, each.at, each.seconds))
        return kept

    def _is_plain(self) -> bool:
        from respool.compat.vcr.serializers import jsonserializer

        built_in = self._serializer is jsonserializer or self._serializer.__name__.endswith("vcr.serializers.yamlserializer")
        return self._persister is FilesystemPersister and built_in and not self._pipeline.load

    def _plain(self) -> list[Interaction]:
        from respool.cassette.library import Library  # only for those who load through no persister of their own

        path = Path(self._path)
        if not path.is_file() or path.stat().st_size == 0:
            return []
        try:
            tape = Library(path.parent).load(path)
        except CassetteMissing:
            return []
        self.rewound = True
        self._metadata = dict(tape.extra.get("metadata") or {})
        return list(tape.interactions)

    def _through_persister(self) -> list[Interaction]:
        try:
            requests, answers, *metadata = self._persister.load_cassette(self._path, serializer=self._serializer)
        except CassetteNotFoundError:
            return []
        self.rewound = True
        self._metadata = dict(metadata[0]) if metadata else {}
        found = []
        for request, answer in zip(requests, answers, strict=False):
            pair = self._hooked(self._pipeline.load, request, answer)
            if pair is not None:
                found.append(Interaction(pair[0].ours(), responses.ours(pair[1])))
        return found

    def _hooked(self, hooks: list[Callable[..., Any]], request: Request, response: dict[str, Any]) -> Pair | None:
        pair: Pair | None = (request, response)
        for hook in hooks:
            if pair is not None:
                takes_cassette = len(inspect.signature(hook).parameters) > 2
                pair = hook(*pair, self) if takes_cassette else hook(*pair)
        return pair

    def _clean(self) -> tuple[Interaction, ...]:
        """What was recorded, without secrets: the suite's own filters come behind, and have the last word."""
        fresh = self._deck.fresh
        if not fresh:
            return ()
        from respool.cassette.cleaning import cleaned

        return cleaned(fresh, redaction_here(), self._path)

    def save(self) -> None:
        """Write what changed through the persister, atomically with the built-in one. Raises SecretFound."""
        fresh = [pair for each in self._clean() if (pair := self._kept(each)) is not None]
        stored = self._stored()
        if self._drop_unused and self.record_mode is not RecordMode.ALL:
            played = self.play_counts
            used = [pair for place, pair in enumerate(stored) if played[place]]
        elif self.record_mode is RecordMode.ALL:
            replaced = [old for old in stored if any(self._same(new, old[0]) for new, _ in fresh)]
            used = [] if self._drop_unused else [old for old in stored if old not in replaced]
        else:
            used = stored
        if not fresh and len(used) == len(stored) and not self._metadata:
            return
        pairs = [self._hooked(self._pipeline.save, copy.deepcopy(one), copy.deepcopy(two)) for one, two in (*used, *fresh)]
        kept = [pair for pair in pairs if pair is not None]
        document: dict[str, Any] = {"requests": [one for one, _ in kept], "responses": [two for _, two in kept]}
        if self._metadata:
            document["metadata"] = self._metadata
        from respool.cassette.upkeep.recorded_from import noted_beside

        with noted_beside(Path(self._path), afresh=not used):
            self._persister.save_cassette(self._path, document, serializer=self._serializer)


def _holds_placeholder(request: Ours) -> bool:
    texts = (request.url, request.body.decode("latin-1"), *(value for _, value in request.headers))
    return any("__redacted_" in text for text in texts)


def _on_ours(matcher: Callable[[Request, Request], Any]) -> Callable[[Ours, Ours], Any]:
    return lambda live, recorded: matcher(Request.of(live), Request.of(recorded))
