"""vcrpy's serialisers: modules with `serialize(dict) -> str` and `deserialize(str) -> dict`."""
