#!/usr/bin/env bash
# The demo: a batch over the standard library's own modules, and the same command again. Called by `make demo`.
set -euo pipefail
cd "$(dirname "$0")"

show() { printf '\n$ %s\n' "$*"; "$@"; }

show respool run stdlib.toml --workers 2
show respool run stdlib.toml --workers 2  # nothing is repeated
show respool jobs list
show respool jobs items stdlib.toml --limit 5
