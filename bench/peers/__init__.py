"""The contestants, one file each.

A file has `ITEMS` (how many items per kind of work; a slow one gets fewer), `RECORDED` (a Source: where a second
process counts), `SAME_KIND` (the contestant of respool that runs the same kind of item), `LAUNCHER` (True if its Python
process only starts the real one, so that its memory does not count), and

    run(items: int, workers: int, work: str, folder: Path) -> Figures

which returns when every item is durably recorded, and goes on where it stopped if the folder holds an earlier run. It
raises `Skip` with the reason where it cannot run. Imports of a peer stay inside `run`: a missing one skips itself.
"""
