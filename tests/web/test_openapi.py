"""The OpenAPI document is true: a fuzzer that knows nothing else makes requests from it, right and wrong ones.

It is a set of its own (tools/schemathesis.txt, made by `make test`): installed beside the others, its pytest plugin would
be loaded into every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from served import Server, project, serving

TOOL = Path(sys.prefix) / "tools" / "schemathesis"
RUN = "from schemathesis.cli import schemathesis; schemathesis()"


def test_what_the_document_says(server: Server) -> None:
    document = server.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    described = {path: set(operations) for path, operations in document["paths"].items()}
    assert described["/jobs"] == {"get", "post"}
    assert not [path for path in described if path.startswith(("/page", "/static"))]
    errors = [
        (path, method, status)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        if int(status) >= 400 and path != "/health" and list(response["content"]) != ["application/problem+json"]
    ]
    assert errors == []


@pytest.mark.timeout(900)  # some 600 requests, on a machine that may do other things
@pytest.mark.skipif(not TOOL.is_dir(), reason="schemathesis is not there: `make test` installs it")
def test_fuzzed(tmp_path: Path) -> None:
    folder = project(tmp_path)
    file = folder / "pyproject.toml"  # only tasks whose payloads have a form: where anything goes, nothing can be wrong
    file.write_text(file.read_text().replace(', "serving_tasks:anything"', "").replace('"serving_tasks:publish", ', ""))
    with serving(folder, "--workers", "4") as server:
        document = server.get("/openapi.json")
        # That a key is used once more for other content is refused, which no schema can say; test_submissions.py does.
        del document["paths"]["/jobs"]["post"]["parameters"]
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        done = subprocess.run(
            [sys.executable, "-c", RUN, "run", "openapi.json", "--url", server.url,
             "--header", f"Authorization: Bearer {server.about['token']}", "--exclude-path", "/events",  # which never ends
             "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "1", "--no-color"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TOOL)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.said.count("an error in respool itself") == 0
