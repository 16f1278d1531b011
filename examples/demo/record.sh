#!/usr/bin/env bash
# Records provider.json anew: the answers of ../extractive_provider.py to the questions of the demo, over real HTTP, some
# of them going wrong on purpose. To be run when clusters, prompts or schemas have changed. Needs the demo's environment.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'kill "$server"; rm -rf "$folder"' EXIT
python ../extractive_provider.py --port 8123 --faults "3:429,9:truncated,16:malformed,25:ungrounded,34:503" &
server=$!
until python -c 'import socket; socket.create_connection(("127.0.0.1", 8123)).close()' 2>/dev/null; do sleep 0.1; done
rm -f provider.json
respool cluster network ../data/string12_ndd_edges.tsv.gz --gene-sets ../data/enrichr_GO_BP_2021.gmt.gz \
  --aliases ../data/hgnc_symbols_aliases.tsv.gz --resamples 5 --shuffles 5 --no-summaries --out "$folder/clusters.json" --spool "$folder/"
respool summarise "$folder/clusters.json" --cassette provider.json --record --concurrency 1 --spool "$folder/"
