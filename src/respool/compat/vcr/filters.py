"""vcrpy's filters: functions that change a Request (or a response's dictionary) before it is matched and kept.

A replacement is a text, None (remove), or a function of (key, value, request) that gives one of these.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlencode, urlparse, urlunparse

from respool.cassette.codings import decode
from respool.compat.vcr.request import Request

Replacement = Any
Replacements = Iterable[tuple[str, Replacement]]
_BOUNDARY = re.compile(r'multipart/form-data.*?boundary="?([^";]+)"?', re.IGNORECASE)
_FIELD = re.compile(rb';\s*name="([^"]*)"')


def _replaced(replacement: Replacement, key: str, value: Any, request: Request) -> Any:
    return replacement(key=key, value=value, request=request) if callable(replacement) else replacement


def replace_headers(request: Request, replacements: Replacements) -> Request:
    """Replace or remove headers."""
    for name, replacement in replacements:
        if name in request.headers:
            value = _replaced(replacement, name, request.headers.pop(name), request)
            if value is not None:
                request.headers[name] = value
    return request


def remove_headers(request: Request, headers_to_remove: Iterable[str]) -> Request:
    """Remove headers."""
    return replace_headers(request, [(name, None) for name in headers_to_remove])


def replace_query_parameters(request: Request, replacements: Replacements) -> Request:
    """Replace or remove parameters of the query, which is sorted on the way."""
    wanted = dict(replacements)
    query = []
    for name, value in request.query:
        new = _replaced(wanted[name], name, value, request) if name in wanted else value
        if new is not None:
            query.append((name, new))
    parts = list(urlparse(request.uri))
    parts[4] = urlencode(query)
    request.uri = urlunparse(parts)
    return request


def remove_query_parameters(request: Request, query_parameters_to_remove: Iterable[str]) -> Request:
    """Remove parameters of the query."""
    return replace_query_parameters(request, [(name, None) for name in query_parameters_to_remove])


def replace_body_parameters(request: Request, replacements: Replacements, recursive: bool = False) -> Request:
    """Replace or remove fields of a form, of a multipart form, or of a JSON object (with `recursive`: at any depth)."""
    wanted = dict(replacements)
    body = request.body
    if not body or not isinstance(body, (bytes, bytearray, dict)):
        return request
    kind = request.headers.get("Content-Type") or ""
    kind = kind.decode("latin-1") if isinstance(kind, bytes) else str(kind)
    boundary = _BOUNDARY.search(kind)
    if isinstance(body, dict):
        request.body = _fields(body, wanted, request, recursive)
    elif kind.partition(";")[0].strip() == "application/json":
        request.body = json.dumps(_fields(json.loads(body), wanted, request, recursive)).encode("utf-8")
    elif boundary is not None:
        request.body = _multipart(bytes(body), boundary[1].encode(), wanted, request)
    else:
        try:
            request.body = _form(bytes(body), wanted, request)
        except UnicodeError:
            return request
    return request


def replace_post_data_parameters(request: Request, replacements: Replacements, recursive: bool = False) -> Request:
    """As replace_body_parameters, for POST only."""
    return replace_body_parameters(request, replacements, recursive) if request.method == "POST" else request


def remove_post_data_parameters(request: Request, post_data_parameters_to_remove: Iterable[str]) -> Request:
    """Remove fields of a posted form."""
    return replace_post_data_parameters(request, [(name, None) for name in post_data_parameters_to_remove])


def decode_response(response: dict[str, Any]) -> dict[str, Any]:
    """The response without its content coding; Content-Length follows."""
    headers = {str(name): list(values) for name, values in response["headers"].items()}
    name = next((name for name in headers if name.lower() == "content-encoding"), None)
    if name is None or not headers[name]:
        return response
    body = decode(response["body"]["string"], (headers[name][0].strip().lower(),))
    if body is None:
        return response
    del headers[name]
    for each in [each for each in headers if each.lower() == "content-length"]:
        headers[each] = [str(len(body))]
    return {**response, "headers": headers, "body": {**response["body"], "string": body}}


def sensitive_data_hooks(sensitive_data: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(hide, restore) for `filter_sensitive_data`: placeholders → values, or functions of (request, response)."""
    pairs = list(sensitive_data.items() if isinstance(sensitive_data, Mapping) else sensitive_data)

    def swapped(request: Request, response: Any, back: bool) -> tuple[Request, Any]:
        for placeholder, value in pairs:
            real = value(request, response) if callable(value) else value
            if real is None or not str(real) or not str(placeholder):
                continue
            old, new = (str(placeholder), str(real)) if back else (str(real), str(placeholder))
            request = Request.from_dict(_text_replaced(request.to_dict(), old, new))
            response = _text_replaced(response, old, new)
        return request, response

    def hide(request: Request, response: Any) -> tuple[Request, Any]:
        return swapped(request, response, False)

    def restore(request: Request, response: Any) -> tuple[Request, Any]:
        return swapped(request, response, True)

    return hide, restore


def copied(request: Request) -> Request:
    """A copy that filters may change."""
    return copy.deepcopy(request)


def _fields(data: Any, wanted: Mapping[str, Replacement], request: Request, recursive: bool) -> Any:
    if isinstance(data, list) and recursive:
        return [_fields(each, wanted, request, True) for each in data]
    if not isinstance(data, dict):
        return data
    found = {}
    for key, value in data.items():
        if key in wanted:
            new = _replaced(wanted[key], key, value, request)
            if new is not None:
                found[key] = new
        else:
            found[key] = _fields(value, wanted, request, True) if recursive else value
    return found


def _form(body: bytes, wanted: Mapping[str, Replacement], request: Request) -> bytes:
    parts = []
    for part in body.split(b"&"):
        name, equals, value = part.partition(b"=")
        key = name.decode("utf-8")
        key = key if key in wanted else unquote_plus(key)
        if not equals or key not in wanted:
            parts.append(part)
            continue
        new = _replaced(wanted[key], key, value.decode("utf-8"), request)
        if new is not None:
            parts.append(name + equals + str(new).encode("utf-8"))
    return b"&".join(parts)


def _multipart(body: bytes, boundary: bytes, wanted: Mapping[str, Replacement], request: Request) -> bytes:
    delimiter = b"--" + boundary
    preamble, *parts = body.split(delimiter)
    kept = [preamble]
    for part in parts:
        head, gap, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head)
        key = name[1].decode("utf-8", "replace") if name else ""
        if not gap or key not in wanted:
            kept.append(part)
            continue
        value, end = (content[:-2], content[-2:]) if content.endswith(b"\r\n") else (content, b"")
        new = _replaced(wanted[key], key, value.decode("utf-8", "replace"), request)
        if new is not None:
            kept.append(head + gap + (new.encode("utf-8") if isinstance(new, str) else new) + end)
    return delimiter.join(kept)


def _text_replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).replace(old.encode("utf-8"), new.encode("utf-8"))
    if isinstance(value, dict):
        return {_text_replaced(key, old, new): _text_replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_text_replaced(each, old, new) for each in value)
    return value
