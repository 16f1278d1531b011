#!/usr/bin/env bash
# The demo: 1,962 genes and their interactions → clusters → GO terms → a summary of each, held to its evidence; killed on
# the way, and gone on with. The provider's answers come from provider.json. Called by `make demo`.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n# %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
written() { respool jobs list --json 2>/dev/null | grep -o '"done": *[0-9]*' | tail -n +2 | grep -c '[1-9]' || true; }
data=../data
source small-model.sh
run=(respool cluster network $data/string12_ndd_edges.tsv.gz --gene-sets $data/enrichr_GO_BP_2021.gmt.gz
  --aliases $data/hgnc_symbols_aliases.tsv.gz --resamples 5 --shuffles 5)

say "Clusters of a real network, tested against GO terms; a summary of each follows. Killed with kill -9 among the summaries:"
printf '$ %s &\n' "${run[*]}"
"${run[@]}" >/dev/null & runner=$!
disown "$runner"  # so that the shell does not report its end
until [ "$(written)" != 0 ] || ! kill -0 "$runner" 2>/dev/null; do sleep 0.1; done
printf '$ kill -9 %s\n' "$runner"
kill -9 "$runner" 2>/dev/null || true
while kill -0 "$runner" 2>/dev/null; do sleep 0.05; done
show respool jobs list

say "The same command again goes on where that stopped: nothing is clustered or asked twice."
show "${run[@]}"

say "What went wrong on the way, and was mended: a throttle, an answer that was cut, one that was no JSON, one with a gene
# that nobody showed, an outage. Every attempt is kept, with its question and its answer:"
printf "$ respool jobs attempts 2 | grep -E 'failed|interrupted'\n"
respool jobs attempts 2 | grep -E 'failed|interrupted'

say "Once more: every summary is there already. The report links each claim to its evidence."
show respool summarise 1 --html report.html --tsv report.tsv

say "Until here a program wrote, from the evidence alone ('by extractive'), so that it reads well. Six of the clusters by a real
# language model, a very small one (SmolLM2, 135 million parameters): what it invents is found, and asked for again; after
# three answers that cannot be used a cluster has none, and the exit code is 1."
show respool summarise 1 "${small_model[@]}" --html small-model.html || [ $? = 1 ]

say "Each of its answers, with what was wrong first; '--key 25' shows those on one cluster whole, and what was asked.
# Both pages, report.html and small-model.html, say who wrote what."
show respool jobs attempts 3
