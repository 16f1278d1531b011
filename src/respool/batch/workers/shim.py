"""The small program between the runner and one command: `python -I -S shim.py ATTEMPT_FOLDER`.

It outlives the runner, so everything that must hold even when the runner is dead is done here (see supervisor.py). It
costs one bare interpreter, 7 ms, and 3 ms of its own. Hence the next lines: they make the packages above supervisor.py
known without running their `__init__`, which would import the whole of respool.
"""

import sys

if __name__ == "__main__":
    folder = __file__.rpartition("/")[0]
    for name in ("respool.batch.workers", "respool.batch", "respool"):
        package = sys.modules[name] = type(sys)(name)
        package.__path__ = [folder]
        folder = folder.rpartition("/")[0]

    from respool.batch.workers.supervisor import main

    sys.exit(main(sys.argv[1]))
