"""The three wire formats against an emulator that others wrote: recorded with `make providers`, replayed here.

Each cassette holds one provider's answers to the same nine cases (tests/summaries/emulator.mjs says how they are made).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from respool import use_cassette
from respool.errors import GiveUp, TryFailed
from respool.summaries.provider import Provider, Question, Usage, price
from respool.summaries.schemas import Verdict, json_schema
from respool.summaries.settings import Model, Output, Settings

LIVE = os.environ.get("RESPOOL_EMULATOR")  # the emulator's address, while the cassettes are recorded
ADDRESS = LIVE or "http://127.0.0.1:4010"
TAPES = Path(__file__).parent / "cassettes"
WIRES: dict[str, tuple[Model, str]] = {
    "openai": (Model("openai", "gpt-4o", f"{ADDRESS}/v1", max_tokens=500), "OPENAI_API_KEY"),
    "anthropic": (Model("anthropic", "claude-haiku-4-5", ADDRESS, max_tokens=500), "ANTHROPIC_API_KEY"),
    "google": (Model("google", "gemini-2.5-flash", ADDRESS, max_tokens=500), "GEMINI_API_KEY"),
    "compatible": (Model("compatible", "llama3.2", f"{ADDRESS}/v1", max_tokens=500), "OPENAI_API_KEY"),
}
ANSWER = '{"claim":1,"verdict":"supported","reason":"it is there"}'
EXPECTED = {
    "answer": ("stop", ANSWER, Usage(120, 40)), "throttled": ("rate_limited", 7.0), "overloaded": ("unavailable", None),
    "truncated": ("length", '{"claim": 1, "verd', Usage(120, 40)),
    "refused": ("content_filter", "I will not.", Usage(120, 40)),
    "malformed": ("stop", '{"claim" => 1}', Usage(120, 40)), "unauthorised": ("unauthorised", None),
    "unknown": ("unauthorised", None), "disconnect": ("unavailable", None),
}  # fmt: skip


def question(case: str) -> Question:
    return Question("You judge.", (("user", f"CASE {case}"),), "verdict", json_schema(Verdict))


async def outcome(provider: Provider, model: Model, case: str) -> Any:
    try:
        answer = await provider(model, question(case))
    except TryFailed as failed:
        return failed.kind, failed.retry_after
    except GiveUp as given_up:
        return given_up.what
    return answer.finish, answer.text, answer.usage


async def outcomes(model: Model) -> dict[str, Any]:
    provider = Provider(Settings())
    return {case: await outcome(provider, model, case) for case in EXPECTED}


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_format(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, variable = WIRES[wire]
    monkeypatch.setenv(variable, "sk-emulated-0123456789abcdef")
    mode = "rerecord" if LIVE else "replay"
    with use_cassette(TAPES / f"{wire}.json", mode=mode, allow_status=None, keep_failures=True, unplayed="fail") as deck:
        found = asyncio.run(outcomes(model))
    assert found == EXPECTED
    assert (deck.recorded if LIVE else deck.played) == len(EXPECTED)  # one request each: nobody below repeats any


@pytest.mark.skipif(LIVE is not None, reason="nothing is asked of the emulator that is not recorded")
@pytest.mark.parametrize("wire", WIRES)
def test_what_is_not_recorded_is_said_so(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, variable = WIRES[wire]
    monkeypatch.setenv(variable, "sk-emulated-0123456789abcdef")
    provider = Provider(Settings(cassette=TAPES / f"{wire}.json"))
    provider.replay()

    async def asked() -> None:
        try:
            raise RuntimeError("no running event loop")  # as libraries find out where they run, before they ask
        except RuntimeError:
            await provider(model, question("never asked"))

    with pytest.raises(TryFailed, match=r"is not on .*json") as failed:
        asyncio.run(asked())
    provider.close()
    assert failed.value.kind == "not_recorded"


@pytest.mark.parametrize("output", ["tool", "prompted", "native"])
def test_a_schema_can_be_told_in_three_ways(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    model, variable = WIRES["openai"]
    monkeypatch.setenv(variable, "sk-emulated-0123456789abcdef")
    asked = Model("openai", "gpt-4o", model.url, max_tokens=500, output=output)
    with use_cassette(TAPES / f"output-{output}.json", mode="rerecord" if LIVE else "replay"):
        _, text, usage = asyncio.run(outcome(Provider(Settings()), asked, "answer"))
    assert text.replace(" ", "") == ANSWER.replace(" ", "")
    assert usage == Usage(120, 40)


def test_prices_are_known_or_unknown_but_never_nothing() -> None:
    assert price(Model("openai", "gpt-4o"), Usage(1_000_000, 0)) == pytest.approx(2.5)
    assert price(Model("openai", "no-such-model"), Usage(10, 10)) is None
    assert price(Model("compatible", "gpt-4o", "http://localhost/v1"), Usage(10, 10)) is None


def test_nothing_of_the_extra_is_imported_before_a_question_is_asked() -> None:
    code = "import sys; import respool.summaries.tasks, respool.cli.summarise; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"pydantic", "pydantic_ai", "openai", "anthropic", "google.genai", "genai_prices"} & set(done.stdout.split())
