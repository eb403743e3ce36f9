#!/usr/bin/env bash
# Truncated BPTT, ours beside PyTorch's: tokens per second, forward, backward and Adam, the two in turn.
#
#     Benchmarks/tbptt_speed.sh TEXT [SECONDS] [ROUNDS]
#
# 64 streams, windows of 64, H = 128 and 256, two threads. PyTorch is installed in .venv if it is not there (large); PYTHON=…
# names an interpreter that has it. Prints every round and the medians.
set -euo pipefail
cd "$(dirname "$0")/.."
text=$1 seconds=${2:-10} rounds=${3:-5}
unset OPENBLAS_CORETYPE
if [ -z "${PYTHON:-}" ]; then
  [ -x .venv/bin/python ] || { python3 -m venv .venv && .venv/bin/pip install --quiet torch numpy; }
  PYTHON=.venv/bin/python
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

field() { "$PYTHON" -c "import json,sys; print(round(json.load(sys.stdin)['$1']))"; }
ours() {
  .build/release/longzoo train "$text" --estimator tbptt --hidden-size "$1" --streams 64 --window 64 --threads 2 \
    --max-seconds "$seconds" --eval-tokens 1000 --quiet --json --out-dir "$folder/run" | field token_columns_per_second
}
theirs() {
  "$PYTHON" Benchmarks/tbptt_pytorch.py "$text" --hidden-size "$1" --max-seconds "$seconds" --threads 2 | field tokens_per_second
}

echo "| H | longzoo, tokens/s | PyTorch, tokens/s | ratio |"
echo "|---|---|---|---|"
for hidden in 128 256; do
  for _ in $(seq "$rounds"); do
    a=$(ours "$hidden") b=$(theirs "$hidden")
    echo "$a $b" >>"$folder/$hidden"
    echo "| $hidden | $a | $b | $("$PYTHON" -c "print(round($a/$b, 2))") |"
  done
  "$PYTHON" - "$hidden" "$folder/$hidden" <<'PY'
import statistics, sys
pairs = [tuple(map(float, line.split())) for line in open(sys.argv[2])]
ours, theirs, ratio = (statistics.median(x) for x in zip(*[(a, b, a / b) for a, b in pairs]))
print(f"| **{sys.argv[1]}, median** | **{ours:.0f}** | **{theirs:.0f}** | **{ratio:.2f}** |")
PY
done
