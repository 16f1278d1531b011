"""The present openai, anthropic, google-genai and boto3 against a local server: live, recorded, replayed, streamed.

Not collected with the other tests: test_clients.py runs it in a process that finds the kits in a folder of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import anthropic
import boto3
import httpx2
import openai
import pytest
from botocore.config import Config
from contract import deck_open, no_network
from google import genai
from google.genai import types
from server import LARGE, ROUTES, Handler, Server

from respool.cassette.clients.tls import UnreadContext
from respool.cassette.model import Cassette, Mode, Response

WORDS = ["In ", "Oslo ", "it is ", "cold."]
SSE = [("Content-Type", "text/event-stream")]


def event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(value)}\n\n".encode()


def answer_json(handler: Handler, value: Any) -> None:
    handler.answer(json.dumps(value).encode(), headers=[("Content-Type", "application/json"), ("x-request-id", "req_1")])


def chat(handler: Handler) -> None:
    whole: dict[str, Any] = {"id": "c1", "created": 1, "model": "m"}
    if json.loads(handler.body).get("stream"):
        whole["object"] = "chat.completion.chunk"
        chunks = [event({**whole, "choices": [{"index": 0, "delta": {"content": word}}]}) for word in WORDS]
        handler.answer_chunked([*chunks, b"data: [DONE]\n\n"], SSE, gap=0.005)
    else:
        message = {"role": "assistant", "content": "".join(WORDS)}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        answer_json(handler, {**whole, "object": "chat.completion", "choices": choices})


def messages(handler: Handler) -> None:
    whole: dict[str, Any] = {"id": "m1", "type": "message", "role": "assistant", "model": "m"}
    whole |= {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"input_tokens": 1, "output_tokens": 4}
    if not json.loads(handler.body).get("stream"):
        answer_json(handler, {**whole, "content": [{"type": "text", "text": "".join(WORDS)}], "usage": usage})
        return
    start = {"type": "message_start", "message": {**whole, "content": [], "usage": usage}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0}
    deltas = [{**delta, "delta": {"type": "text_delta", "text": word}} for word in WORDS]
    ends = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    handler.answer_chunked([event(each, str(each["type"])) for each in (start, block, *deltas, *ends)], SSE, gap=0.005)


def gemini(handler: Handler, *rest: str) -> None:
    def said(text: str) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], "modelVersion": "m"}

    if "stream" in handler.path:
        handler.answer_chunked([event(said(word)) for word in WORDS], SSE, gap=0.005)
    else:
        answer_json(handler, said("".join(WORDS)))


STORED: dict[str, bytes] = {}


def bucket(handler: Handler, *rest: str) -> None:
    if handler.command == "PUT":
        STORED[handler.route] = handler.body
        handler.answer(headers=[("ETag", '"e1"'), ("x-amz-request-id", "R1")])
    elif rest and rest[0] == "flaky":
        handler.server.seen["s3"] += 1
        if handler.server.seen["s3"] == 1:
            handler.answer(b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>", 503, "Slow Down")
        else:
            handler.answer(b"there", headers=[("ETag", '"e2"')])
    elif rest and rest[0]:
        handler.answer(LARGE, headers=[("ETag", '"e1"'), ("Content-Type", "application/octet-stream")])
    else:
        listing = "<ListBucketResult><Name>bucket</Name><Contents><Key>k</Key><Size>3</Size></Contents></ListBucketResult>"
        handler.answer(listing.encode(), headers=[("Content-Type", "application/xml")])


def v1(handler: Handler, *rest: str) -> None:
    {"chat": chat, "messages": messages, "models": gemini}[rest[0]](handler)


ROUTES.update({"v1": v1, "bucket": bucket})
Ask = Callable[[str], Any]
ASKED: list[Any] = [{"role": "user", "content": "How is Oslo?"}]


def ask_openai(root: str) -> Any:
    with openai.OpenAI(base_url=f"{root}/v1", api_key="sk-abcdefghijklmnop", max_retries=0) as client:
        plain = client.chat.completions.create(model="m", messages=ASKED)
        with client.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
            words = [chunk.choices[0].delta.content for chunk in stream]
        raw = client.chat.completions.with_raw_response.create(model="m", messages=ASKED)
        return plain.choices[0].message.content, words, raw.headers["x-request-id"], raw.http_response.reason_phrase


def ask_openai_for_a_while(root: str) -> Any:
    with openai.OpenAI(base_url=f"{root}/v1", api_key="sk-abcdefghijklmnop", max_retries=0) as client:
        stream = client.chat.completions.create(model="m", messages=ASKED, stream=True)
        first = next(iter(stream)).choices[0].delta.content
        stream.close()
        return first


def ask_openai_async(root: str) -> Any:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="sk-abcdefghijklmnop", max_retries=0) as client:
            plain = await client.chat.completions.create(model="m", messages=ASKED)
            stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
            return plain.choices[0].message.content, [chunk.choices[0].delta.content async for chunk in stream]

    return asyncio.run(ask())


def ask_anthropic(root: str) -> Any:
    with anthropic.Anthropic(base_url=root, api_key="sk-ant-abcdefgh", max_retries=0) as client:
        plain: Any = client.messages.create(model="m", max_tokens=9, messages=ASKED)
        with client.messages.stream(model="m", max_tokens=9, messages=ASKED) as stream:
            words = list(stream.text_stream)
            final: Any = stream.get_final_message()
        return plain.content[0].text, words, final.content[0].text


def ask_google(root: str) -> Any:
    client = genai.Client(api_key="AIzaSyabcdefghijklmnop", http_options=types.HttpOptions(base_url=root))
    plain = client.models.generate_content(model="m", contents="How is Oslo?")
    words = [each.text for each in client.models.generate_content_stream(model="m", contents="How is Oslo?")]
    client.close()
    return plain.text, words


def ask_google_async(root: str) -> Any:
    async def ask() -> Any:
        client = genai.Client(api_key="AIzaSyabcdefghijklmnop", http_options=types.HttpOptions(base_url=root))
        plain = await client.aio.models.generate_content(model="m", contents="How is Oslo?")
        stream = await client.aio.models.generate_content_stream(model="m", contents="How is Oslo?")
        words = [each.text async for each in stream]
        await client.aio.aclose()
        client.close()
        return plain.text, words

    return asyncio.run(ask())


def ask_boto3(root: str) -> Any:
    session = boto3.Session("AKIAABCDEFGHIJKLMNOP", "s" * 40, region_name="eu-north-1")
    settings = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 3})
    client = session.client("s3", endpoint_url=root, config=settings)
    put = client.put_object(Bucket="bucket", Key="k", Body=b"abc")
    listed = client.list_objects_v2(Bucket="bucket")
    got = client.get_object(Bucket="bucket", Key="k")
    body = b"".join(got["Body"].iter_chunks(65536))
    flaky = client.get_object(Bucket="bucket", Key="flaky")
    retried = flaky["ResponseMetadata"]["RetryAttempts"]
    read = flaky["Body"].read()
    client.close()
    return put["ETag"], [each["Key"] for each in listed["Contents"]], body == LARGE, read, retried


KITS: dict[str, tuple[Ask, int]] = {
    "openai": (ask_openai, 3),
    "openai, left early": (ask_openai_for_a_while, 1),
    "openai, asynchronous": (ask_openai_async, 2),
    "anthropic": (ask_anthropic, 2),
    "google-genai": (ask_google, 2),
    "google-genai, asynchronous": (ask_google_async, 2),
    "boto3": (ask_boto3, 5),
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kit", KITS)
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::pydantic.warnings.PydanticDeprecatedSince20")
def test_kit(kit: str, plain: Server) -> None:
    ask, requests = KITS[kit]
    plain.reset()
    live = ask(plain.url)
    assert plain.requests
    plain.reset()
    with deck_open(mode=Mode.FILL) as deck:
        assert ask(plain.url) == live
    closed = deck.close()
    assert (len(closed.fresh), closed.cut, closed.unfinished) == (requests, 0, 0)
    streams = [each.response for each in closed.fresh if isinstance(each.response, Response) and each.response.chunks]
    assert all(len(stream.chunks) > (0 if "left" in kit else 1) for stream in streams)
    assert len(streams) == (0 if kit == "boto3" else 1)
    plain.reset()
    with no_network(), deck_open(Cassette(closed.fresh), Mode.REPLAY) as deck:
        assert ask(plain.url) == live
    assert (deck.played, deck.unplayed, plain.requests) == (requests, (), [])


def test_the_clients_of_kits_read_no_ca_bundle() -> None:
    httpx2.Client().close()
    client = openai.OpenAI(api_key="sk-abcdefghijklmnop")
    assert type(client._client._transport._pool._ssl_context) is UnreadContext  # type: ignore[attr-defined]
    client.close()
    assert type(httpx2.create_ssl_context()) is UnreadContext, "google-genai makes its own in this way"
