#!/usr/bin/env bash
# A batch over the standard library's own modules, killed on the way, gone on with, and run once more.
# The smallest example of a batch; see ../demo for the pipeline that `make demo` runs.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n# %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
finished() { respool jobs list --json 2>/dev/null | grep -c '"done": *[1-9]' || true; }

say "One item for every module of Python's standard library. Killed with kill -9 as soon as some are done:"
printf '$ respool run stdlib.toml &\n'
respool run stdlib.toml & runner=$!
disown "$runner"  # so that the shell does not report its end
until [ "$(finished)" != 0 ] || ! kill -0 "$runner" 2>/dev/null; do sleep 0.1; done
printf '$ kill -9 %s\n' "$runner"
kill -9 "$runner" 2>/dev/null || true
while kill -0 "$runner" 2>/dev/null; do sleep 0.05; done
show respool jobs list

say "The same command again goes on where that stopped:"
show respool run stdlib.toml

say "And once more: nothing is repeated."
show respool run stdlib.toml

say "What came out:"
show respool jobs list
show respool jobs items stdlib.toml --limit 5
