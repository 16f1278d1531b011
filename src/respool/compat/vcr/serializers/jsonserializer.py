"""vcrpy's JSON form."""

from __future__ import annotations

import json
from typing import Any


def deserialize(cassette_string: str) -> Any:
    """The dictionary of a JSON text."""
    return json.loads(cassette_string)


def serialize(cassette_dict: dict[str, Any]) -> str:
    """The JSON text of a dictionary. Raises ValueError for a binary body, which JSON cannot hold."""
    try:
        return json.dumps(cassette_dict, indent=4) + "\n"
    except TypeError as error:
        raise ValueError(f"a body is binary, which vcrpy's JSON form cannot hold ({error}); use the YAML one") from None
