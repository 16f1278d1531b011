"""What leaves the spool through the web is redacted, by the rules that keep secrets off cassettes.

Payloads, results, messages and notes are what other programs wrote: a field named like a secret, a value shaped like a
vendor's key, and the values of this process's key-like environment variables are replaced wherever they stand.
"""

from __future__ import annotations

import json
import os
from typing import Any

from respool.cassette.model import Request
from respool.cassette.redaction import Redaction

_JSON = (("content-type", "application/json"),)


class Redactor:
    """Redacts documents; each by itself, so that nothing is remembered of the ones before.

    >>> Redactor().redacted({"user": "ada", "password": "correct horse", "max_tokens": 9})
    {'user': 'ada', 'password': '__redacted_password__', 'max_tokens': 9}
    """

    def __init__(self, redaction: Redaction | None = None) -> None:
        self._redaction = redaction or Redaction(environ=os.environ)

    def redacted(self, document: Any) -> Any:
        """The document with placeholders for what is secret in it. `document` is JSON-ready data."""
        body = json.dumps(document).encode("ascii")
        request = Request("POST", "http://spool.invalid/", _JSON, body)
        found = self._redaction.fresh().request(request).body
        return document if found == body else json.loads(found)
