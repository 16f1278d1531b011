"""vcrpy's YAML form, by the C loader where it is there; never a tag that would execute something."""

from __future__ import annotations

from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def deserialize(cassette_string: str) -> Any:
    """The dictionary of a YAML text. Raises yaml.YAMLError."""
    return yaml.load(cassette_string, Loader=_Loader)


def serialize(cassette_dict: dict[str, Any]) -> str:
    """The YAML text of a dictionary."""
    text: str = yaml.dump(cassette_dict, Dumper=_Dumper)
    return text
