"""A call of the program that has ended, as the tests of the command line look at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Ended:
    """Its exit code, and what it wrote on stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON object on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)
