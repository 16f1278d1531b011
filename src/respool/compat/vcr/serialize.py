"""vcrpy's text form around a serialiser: {version: 1, interactions: [{request, response}, …]}."""

from __future__ import annotations

from typing import Any

from respool.compat.vcr.request import Request

CASSETTE_FORMAT_VERSION = 1


def deserialize(cassette_string: str, serializer: Any) -> Any:
    """(requests, responses[, metadata]). Raises ValueError for a text that is no cassette."""
    data = serializer.deserialize(cassette_string)
    if not isinstance(data, dict) or not isinstance(data.get("interactions"), list):
        raise ValueError("this is no cassette of vcrpy's version 1: it has no list of interactions")
    requests = [Request.from_dict(dict(each["request"])) for each in data["interactions"]]
    responses = [_as_bytes(each["response"]) for each in data["interactions"]]
    if data.get("metadata"):
        return requests, responses, data["metadata"]
    return requests, responses


def serialize(cassette_dict: dict[str, Any], serializer: Any) -> str:
    """The text of a cassette."""
    interactions = [
        {"request": _as_text_body(request.to_dict()), "response": _as_text(response)}
        for request, response in zip(cassette_dict["requests"], cassette_dict["responses"], strict=True)
    ]
    data: dict[str, Any] = {"version": CASSETTE_FORMAT_VERSION, "interactions": interactions}
    if cassette_dict.get("metadata"):
        data["metadata"] = cassette_dict["metadata"]
    text: str = serializer.serialize(data)
    return text


def _as_bytes(response: Any) -> Any:
    body = response.get("body") if isinstance(response, dict) else None
    if isinstance(body, dict) and isinstance(body.get("string"), str):
        return {**response, "body": {**body, "string": body["string"].encode("utf-8")}}
    return response


def _as_text(response: Any) -> Any:
    body = response.get("body") if isinstance(response, dict) else None
    if isinstance(body, dict) and "string" in body:
        return {**response, "body": {**body, "string": _text(body["string"])}}
    return response


def _as_text_body(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "body": _text(request["body"])}


def _text(body: Any) -> Any:
    if isinstance(body, (bytes, bytearray)):
        try:
            return bytes(body).decode("utf-8")
        except UnicodeDecodeError:
            return bytes(body)
    return body
