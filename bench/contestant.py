"""One contestant in a process of its own: python -m bench.contestant NAME ITEMS WORKERS WORK FOLDER

The folder's `figures.json` is written when all is recorded. Run on a folder that is not empty, it resumes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.figures import Skip
from bench.peers import contestant


def main(arguments: list[str]) -> int:
    name, items, workers, work, folder = arguments
    try:
        figures = contestant(name).run(int(items), int(workers), work, Path(folder))
    except (Skip, ModuleNotFoundError) as reason:
        Path(folder, "skipped").write_text(str(reason), encoding="utf-8")
        return 3
    Path(folder, "figures.json").write_text(json.dumps(figures._asdict()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
