"""The bench: respool against its peers and against its own targets, on this machine, in one run.

    python -m bench                  everything (needs bench/requirements.txt; writes docs/benchmarks.md)
    python -m bench --quick          small counts, one round, no million items; prints, writes nothing into docs
    python -m bench --only joblib    only the contestants and measurements whose name holds this word
    python -m bench --only clusters  only the clustering of a large network
    python -m bench --only replay    only the replay bench; replay_httpx: only its cells whose name holds this word

Machines are noisy: only medians, and ratios between contestants of the same round, are worth quoting.
"""
