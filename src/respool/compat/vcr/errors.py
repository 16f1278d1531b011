"""vcrpy's exceptions, raised by our deck under its face."""

from __future__ import annotations

from typing import Any

from respool.errors import CassetteError, RequestNotRecorded


class CannotOverwriteExistingCassetteException(RequestNotRecorded):
    """A request is not on the tape, and the record mode does not allow to record it."""

    cassette: Any = None
    failed_request: Any = None


class UnhandledHTTPRequestError(CassetteError, KeyError):
    """`play_response` was asked for a request that the cassette does not hold."""

    __str__ = CassetteError.__str__
