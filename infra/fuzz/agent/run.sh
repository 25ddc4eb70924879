#!/bin/sh
# Fuzzes the agent's connection with libFuzzer under AddressSanitizer and UBSan. usage: run.sh [SECONDS] [CORPUS_FOLDER]
# Needs clang and its runtime: apt-get install -y clang libclang-rt-14-dev. Ends with an error, and keeps the input, on any finding.
set -eu
seconds=${1:-180}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
source="$root/libs/engine/native/init"
out="$root/dist/fuzz/agent"
corpus=${2:-$out/corpus}
command -v clang >/dev/null || { echo "no clang: apt-get install -y clang libclang-rt-14-dev" >&2; exit 1; }
mkdir -p "$out" "$corpus"
node "$here/seeds.mjs" "$corpus"
clang -g -O1 -std=gnu11 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I "$source" -o "$out/harness" \
  "$here/harness.c" "$source/frames.c" "$source/requests.c" "$source/events.c" "$source/connection.c" "$source/loop.c"
cd "$out"
exec ./harness -max_total_time="$seconds" -max_len=8192 -timeout=5 -print_final_stats=1 -artifact_prefix="$out/" "$corpus"
