"""The one file that talks to language models: one request, one answer or one word for how it failed.

pydantic-ai speaks the three wire formats and knows the profiles of models and their prices; it is imported when the first
question is asked. It retries nothing, and neither do the SDKs below it: what follows a failure is decided by the batch.
"""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from respool.cassette.recording import Conditions, Recording
from respool.clock import SYSTEM
from respool.clusters.record import Record
from respool.errors import CassetteError, GiveUp, TryFailed, UsageError
from respool.summaries.settings import Model, Settings


@dataclass(frozen=True, slots=True)
class Usage(Record):
    """Tokens as the provider counted them."""

    input: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.output + other.output)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the text of the answer, why it ended, the tokens, and the seconds that it took."""

    text: str
    finish: str
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the rules, the turns of the conversation ("user", text) and ("model", text), and the answer's schema."""

    system: str
    turns: tuple[tuple[str, str], ...]
    schema_name: str
    schema: dict[str, Any]

    def text(self) -> str:
        """All of it, as it is logged."""
        return "\n\n".join([self.system, *(f"[{who}]\n{said}" for who, said in self.turns)])


class Ask(Protocol):
    """Asks a model; raises TryFailed or GiveUp."""

    async def __call__(self, model: Model, question: Question) -> Answer: ...


_closed_with: WeakKeyDictionary[asyncio.AbstractEventLoop, list[AsyncGenerator[Any, None]]] = WeakKeyDictionary()
"""The connections of each loop, which `asyncio.run` closes with it. A Provider does not hold them: one that is dropped while
its loop runs would have them closed by a task that the end of the loop cancels."""


class Provider:
    """Asks models with the keys, the time limit and the cassette of `settings`. Its connections belong to the event loop that
    first asked, and are closed with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Model, Any]] = WeakKeyDictionary()
        self._tape = Recording(settings.cassette, Conditions()) if settings.cassette is not None else None

    def replay(self) -> None:
        """Open the cassette of recorded answers, if one is configured; every question is then answered by it alone."""
        if self._tape is not None:
            self._tape.open(everywhere=True)

    def close(self) -> None:
        """Close the cassette."""
        if self._tape is not None:
            self._tape.end()

    async def __call__(self, model: Model, question: Question) -> Answer:
        """One request. Raises TryFailed with the kind of failure, or GiveUp for a request that no repetition helps."""
        from pydantic_ai.direct import model_request
        from pydantic_ai.exceptions import AgentRunError, UserError
        from pydantic_ai.settings import ModelSettings

        connected = await self._connected(model)
        settings = ModelSettings(max_tokens=model.max_tokens, timeout=self._settings.timeout, max_retries=0)
        if model.temperature is not None:
            settings["temperature"] = model.temperature
        began = SYSTEM.monotonic()
        try:
            with warnings.catch_warnings():  # settings that a model has not got are left out, and are in the key all the same
                warnings.simplefilter("ignore")
                response = await model_request(
                    connected, _messages(question), model_settings=settings,
                    model_request_parameters=_parameters(connected, model, question),
                )  # fmt: skip
        except (AgentRunError, UserError, CassetteError) as error:
            raise _failure(error, model) from error
        except IndexError as error:  # pydantic-ai takes the first of the choices, and there may be none
            raise TryFailed("invalid", "the answer of the service holds no choice") from error
        return Answer(
            _text(response), response.finish_reason or "stop",
            Usage(response.usage.input_tokens, response.usage.output_tokens), SYSTEM.monotonic() - began,
        )  # fmt: skip

    async def _connected(self, model: Model) -> Any:
        loop = asyncio.get_running_loop()
        known = self._open.setdefault(loop, {})
        if model not in known:
            generator = _connection(model, self._key(model))
            known[model] = await anext(generator)
            _closed_with.setdefault(loop, []).append(generator)
        return known[model]

    def _key(self, model: Model) -> str:
        where = model.url if model.provider == "compatible" else model.provider
        found = self._settings.key(where or "")
        # A cassette and a local service ask for none; the SDKs do.
        return found or ("recorded" if self._tape is not None else "none-needed")


async def _connection(model: Model, key: str) -> AsyncGenerator[Any, None]:
    made = _MAKERS[model.provider](model, key)
    try:
        async with made:
            yield made
    finally:
        if model.provider == "google":  # whose own client is not closed with it
            await made.client.aio.aclose()
        await asyncio.sleep(0)  # the loop may end right after this: its transports are told that they are closed


def _openai(model: Model, key: str) -> Any:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(model.name, provider=OpenAIProvider(base_url=model.url, api_key=key))


def _anthropic(model: Model, key: str) -> Any:
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    return AnthropicModel(model.name, provider=AnthropicProvider(base_url=model.url, api_key=key))


def _google(model: Model, key: str) -> Any:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(model.name, provider=GoogleProvider(api_key=key, base_url=model.url))


_MAKERS: dict[str, Callable[[Model, str], Any]] = {
    "openai": _openai, "compatible": _openai, "anthropic": _anthropic, "google": _google,
}  # fmt: skip


def _messages(question: Question) -> list[Any]:
    from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart

    messages: list[Any] = [ModelRequest([SystemPromptPart(question.system)])]
    for who, said in question.turns:
        if who == "model":
            messages.append(ModelResponse([TextPart(said)]))
        elif isinstance(messages[-1], ModelRequest):
            messages[-1] = ModelRequest([*messages[-1].parts, UserPromptPart(said)])
        else:
            messages.append(ModelRequest([UserPromptPart(said)]))
    return messages


def _parameters(connected: Any, model: Model, question: Question) -> Any:
    """How the schema is told: the service's own way where it has one, else as a tool, else in the prompt."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    mode = model.output
    if mode == "auto":
        native = model.provider == "compatible" or connected.profile.get("supports_json_schema_output", False)
        mode = "native" if native else "tool"
    if mode == "tool":
        tool = ToolDefinition(name=question.schema_name, parameters_json_schema=question.schema, kind="output")
        return ModelRequestParameters(output_mode="tool", output_tools=[tool], allow_text_output=False)
    definition = OutputObjectDefinition(question.schema, question.schema_name, strict=None)
    return ModelRequestParameters(output_mode=mode, output_object=definition)


def _text(response: Any) -> str:
    """The answer as text: what a tool was called with, what was written, or why nothing was."""
    for part in response.parts:
        if part.part_kind == "tool-call":
            return part.args if isinstance(part.args, str) else json.dumps(part.args or {})
    written = "".join(part.content for part in response.parts if part.part_kind == "text")
    return written or str((response.provider_details or {}).get("refusal", ""))


def _failure(error: Exception, model: Model) -> Exception:
    """What an exception of pydantic-ai means, as the batch's own word."""
    from pydantic_ai import exceptions as known

    if _is_miss(error):
        return TryFailed("not_recorded", _first_line(_cause(error)))
    text = _said(error)
    if type(error) is known.ModelConnectionError:  # whose own words are no more than that
        text = f"no connection to {model.url or model.provider}: {_first_line(_cause(error))}"
    if isinstance(error.__cause__, json.JSONDecodeError):
        return TryFailed("invalid", "the answer of the service is no JSON")
    if isinstance(error, known.ModelNotFoundError):
        return TryFailed("unauthorised", f"the model {model} is not known there: {text}")
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (known.ContentFilterError, "refused"), (known.IncompleteToolCall, "truncated"),
        (known.ModelRateLimitError, "rate_limited"), (known.ModelQuotaExceededError, "quota"),
        (known.ModelAuthenticationError, "unauthorised"), (known.ModelTimeoutError, "timeout"),
        (known.ModelRequestTimeout, "timeout"), (known.ModelUnavailableError, "unavailable"),
        (known.ModelServerError, "unavailable"), (known.ModelConnectionError, "unavailable"),
        (known.UnexpectedModelBehavior, "invalid"),
    )  # fmt: skip
    for kind, word in kinds:
        if isinstance(error, kind):
            return TryFailed(word, text, getattr(error, "retry_after", None))
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 500:
        return TryFailed("unavailable", text, getattr(error, "retry_after", None))
    if (place := _elsewhere(error)) is not None:
        here = model.url or model.provider
        return TryFailed("unauthorised", f"{here} sends on to {place!r}; put the service's own address there")
    if _CONTEXT.search(text):
        return GiveUp(f"the question is too long for {model}: {text}; give the model a larger context")
    return GiveUp(f"{model} does not take the request: {text}")


# How OpenAI, llama.cpp, vLLM and others say that a question does not fit: "... exceeds the available context size".
_CONTEXT = re.compile(r"context[ _](?:size|length|window)", re.IGNORECASE)


def _elsewhere(error: BaseException) -> str | None:
    """Where the service's answer leads, if that is a redirect."""
    response = getattr(error.__cause__, "response", None)
    return None if response is None or not response.is_redirect else response.headers.get("location")


def _is_miss(error: BaseException) -> bool:
    return type(_cause(error)).__name__ == "RequestNotRecorded"


def _cause(error: BaseException) -> BaseException:
    """The first of an error's causes; a miss of a cassette is told by SDKs as a broken connection."""
    # "no running event loop" is none: a library asked where it runs, and was told so, before something went wrong.
    return next((one for one in reversed([*_chain(error)]) if type(one) is not RuntimeError), error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(error: Exception) -> str:
    """The service's own words with the status, where an error has them, else the error's first line."""
    body, status = getattr(error, "body", None), getattr(error, "status_code", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    told = inner.get("message") if isinstance(inner, dict) else None
    return f"{told} ({status})"[:500] if isinstance(told, str) and status else _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:500] if lines else type(error).__name__


def price(model: Model, usage: Usage) -> float | None:
    """US dollars for these tokens by the offline price table, or None where the price is unknown (never 0 for that)."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    if model.provider == "compatible":
        return None
    try:
        tokens = Tokens(input_tokens=usage.input, output_tokens=usage.output)
        return float(calc_price(tokens, model.name, provider_id=model.provider).total_price)
    except LookupError:
        return None


def check_installed() -> None:
    """Raise UsageError if the extra is not installed."""
    try:
        import pydantic_ai.direct
    except ImportError as error:
        raise UsageError(
            "summaries need the extra [llm]", why=str(error), command="pip install 'respool[llm]'"
        ) from None  # fmt: skip
    assert pydantic_ai.direct is not None

