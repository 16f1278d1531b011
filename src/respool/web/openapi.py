"""The OpenAPI document: the framework's, with the body of a submission as the registered tasks have it, and the token."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from respool.web.registered import RegisteredTask, RegisteredTasks
from respool.web.submissions import LONGEST_KEY, LONGEST_NAME, LONGEST_TIMEOUT

PUBLIC = "/health"
KEY = {
    "type": "string", "maxLength": LONGEST_KEY,
    "pattern": "^[^@\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$",
    "description": "No control characters, not beginning with @.",
}  # fmt: skip


def describe(app: FastAPI, tasks: RegisteredTasks) -> None:
    """Let `app` publish what is true of it: `tasks` decide what a submission looks like."""
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(_document(app, tasks))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI names


def _document(app: FastAPI, tasks: RegisteredTasks) -> dict[str, Any]:
    made = get_openapi(
        title="respool", version=app.version, openapi_version="3.1.0", routes=app.routes, description=app.description
    )  # fmt: skip
    components = made.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    bodies = [_body(task, tasks, schemas) for task in tasks]
    schema = {"oneOf": bodies} if bodies else {"not": {}, "description": "No task is registered."}
    made["paths"]["/jobs"]["post"]["requestBody"] = {
        "required": True, "content": {"application/json": {"schema": schema}}
    }  # fmt: skip
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path == PUBLIC else [{"token": []}]
            _say_problems(operation["responses"], public=path == PUBLIC)
    return made


def _say_problems(responses: dict[str, Any], *, public: bool) -> None:
    """FastAPI puts a model under application/json whatever else is said; our errors are problems."""
    if public:
        responses.pop("401", None)
    for status, response in responses.items():
        content = response.get("content", {})
        if "application/problem+json" in content:
            response["content"] = {"application/problem+json": content.get("application/json", {})}
        if status == "503":
            response["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}
        if status == "202":
            response["headers"] = {"Location": {"schema": {"type": "string"}, "description": "The job's address."}}


def _body(task: RegisteredTask, tasks: RegisteredTasks, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a submission for one task; what its payload's schema defines goes to the components."""
    name = "Payload_" + "".join(letter if letter.isalnum() else "_" for letter in task.name)
    payload = task.schema(f"#/components/schemas/{name}.{{model}}")
    for model, definition in payload.pop("$defs", {}).items():
        schemas[f"{name}.{model}"] = definition
    schemas[name] = payload
    reference = {"$ref": f"#/components/schemas/{name}"}
    follow = {
        "type": "object", "additionalProperties": False, "required": ["task"],
        "properties": {
            "task": {"enum": [each.name for each in tasks]}, "on": {"enum": ["success", "finish"], "default": "success"}
        },
    }  # fmt: skip
    return {
        "type": "object", "title": task.name, "additionalProperties": False, "required": ["task"],
        "oneOf": [{"required": ["items"]}, {"required": ["payload"]}],
        "properties": {
            "task": {"const": task.name},
            "items": {"type": "object", "propertyNames": KEY, "additionalProperties": reference},
            "payload": reference,
            "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": KEY["pattern"]},
            "then": {"type": "array", "items": follow, "description": "What runs on the results."},
            "job_timeout": {
                "type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT, "description": "Seconds for a run.",
            },
        },
    }  # fmt: skip
