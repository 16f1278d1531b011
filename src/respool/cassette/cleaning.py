"""What happens to recorded interactions before they are written, whoever writes them."""

from __future__ import annotations

from collections.abc import Iterable

from respool.cassette import leaks
from respool.cassette.model import Interaction
from respool.cassette.redaction import Redaction
from respool.errors import SecretFound


def cleaned(fresh: Iterable[Interaction], redaction: Redaction, where: str) -> tuple[Interaction, ...]:
    """`fresh` without their secrets, looked over by the leak check. Raises SecretFound, naming the file `where`."""
    # Twice: what is collected from a later interaction (a token that a login hands out) also stands in earlier ones.
    found = tuple(fresh)
    for _ in range(2):
        found = tuple(redaction.interaction(interaction) for interaction in found)
    left = leaks.check(found, redaction.secrets)
    if left:
        raise SecretFound(
            f"{len(left)} secret(s) would be written: " + "; ".join(str(leak) for leak in left[:5]),
            where=where, why="the leak check knows shapes that no redaction rule has replaced",
            command="add a rule, e.g. redact=[Json('$.token')], and record again; nothing was written",
        )  # fmt: skip
    return found
