"""What lies below a client's exception: the kind of failure that a tape knows."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from respool.cassette.model import Failure

# The first that fits decides: a refused connection is an OSError too.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls"),
    (ssl.CertificateError, "tls"),
    (socket.gaierror, "name"),
    (ConnectionRefusedError, "connect"),
    (TimeoutError, "read_timeout"),
    (OSError, "closed"),
)


def failure_of(error: BaseException, kind: str | None = None) -> Failure | None:
    """`error` as a Failure; None if neither it nor what caused it is a failure of the network.

    `kind` is what the client's own exception says; "connect" is made exact (tls, name) by what lies below.

    >>> failure_of(ConnectionResetError("gone"))
    Failure(kind='closed', message='gone')
    """
    below = ((found, cause) for cause in _causes(error) for type_, found in _KINDS if isinstance(cause, type_))
    found, cause = next(below, (None, error))
    if kind in (None, "connect") and found == "name":
        return Failure("name", str(cause))  # clients wrap each their own words around the resolver's
    if kind is None or (kind == "connect" and found == "tls"):
        kind = found
    return None if kind is None else Failure(kind, str(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
