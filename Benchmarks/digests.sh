#!/usr/bin/env bash
# Compares the weights that two longzoo programs train: Benchmarks/digests.sh OLD NEW [PATTERN]
#
# NEW also goes on from the checkpoint that OLD has left, and must come to where OLD does.
#
# Every run spells out all options that the weights depend on, so that a digest that differs is a change in what is
# computed, and not in a default. PATTERN, a grep expression, chooses among the cases. Takes about a minute.
# Exit code 1 if a digest differs or a run fails.
set -uo pipefail

[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
old=$(realpath "$1") new=$(realpath "$2") pattern=${3:-.}
for program in "$old" "$new"; do [ -x "$program" ] || { echo "$program: no program" >&2; exit 66; }; done
corpora=$(cd "$(dirname "$0")/../corpora" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

zstdcat "$corpora/zoo.zst" | head -c 200000 > "$folder/text"
# A mark on every second token, for --targets marked.
python3 - "$folder" <<'PY'
import sys
text = open(sys.argv[1] + "/text", "rb").read()
open(sys.argv[1] + "/marked", "wb").write(bytes(byte & 127 | (i & 1) << 7 for i, byte in enumerate(text)))
PY

always="--hidden-size 24 --layers 1 --heads 1 --seed 7 --max-steps 40 --val-fraction 0.1 --eval-tokens 500 --eval-interval 0 --context 300 --reset context
  --warmup 0 --regime shared --stop-above 0 --save-interval 0"
adam="--optimizer adam --momentum 0.9 --beta2 0.999 --weight-decay 0 --table-rate 1"
muon="--optimizer muon --momentum 0.95 --beta2 0.999 --weight-decay 0.05 --table-rate 3"
constant="--lr 0.01 --lr-schedule constant" falling="--lr 0.02 --lr-schedule cosine"
pairs="--pairs 48 --streams 48 --window 8 --eps 0.2"
directions="--perturbation rank1 --rank 1 --step gradient"
zeroth="$pairs $directions --readout exact"
exact="--streams 8 --window 64 --clip-norm 1 --checkpointing none"

# name|options
cases="
cd-rge|--estimator cd-rge $zeroth --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, falling rate|--estimator cd-rge $zeroth --lifetime 1 --max-divergence 1.8 $adam $falling
cd-rge, linear|--estimator cd-rge $zeroth --lifetime 1 --max-divergence 1.8 $adam --lr 0.01 --lr-schedule linear --warmup 5
cd-rge, all zeroth-order|--estimator cd-rge $pairs $directions --readout zo --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, lifetime 3, 6 streams|--estimator cd-rge $zeroth --streams 6 --lifetime 3 --max-divergence 1.8 $adam $constant
cd-rge, window context|--estimator cd-rge $zeroth --window context --lifetime 1 --max-divergence 1.8 $adam $constant --max-steps 6
cd-rge, rademacher|--estimator cd-rge $pairs --perturbation rademacher --step gradient --readout exact --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, gaussian|--estimator cd-rge $pairs --perturbation gaussian --step gradient --readout exact --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, rank 3|--estimator cd-rge $pairs --perturbation rank1 --rank 3 --step gradient --readout exact --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, sgd, normalized|--estimator cd-rge $pairs --perturbation rank1 --step normalized --readout exact --lifetime 1 --max-divergence 1.8 --optimizer sgd --momentum 0.9 --weight-decay 0.01 --lr 0.01 --lr-schedule constant
cd-rge, polyak|--estimator cd-rge $pairs --perturbation rank1 --step polyak --readout zo --lifetime 1 --max-divergence 1.8 --optimizer sgd --momentum 0 --weight-decay 0 --lr 0.1 --lr-schedule constant
cd-rge, muon|--estimator cd-rge $zeroth --lifetime 1 --max-divergence 1.8 $muon $constant
cd-rge, two layers, heads|--estimator cd-rge $zeroth --layers 2 --heads 2 --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, memory span, token scale|--estimator cd-rge $zeroth --memory-span 32 --token-scale 0.3 --lifetime 1 --max-divergence 1.8 $adam $constant
cd-rge, in place|--estimator cd-rge $pairs --perturbation rank1 --step gradient --regime inplace --lifetime 1 --max-divergence 1.8 --lr 0.1 --lr-schedule constant --weight-decay 0
fd-rge|--estimator fd-rge $zeroth --streams 1 --lifetime 2 $adam $constant
fd-rge, streams|--estimator fd-rge $zeroth --lifetime 1 $adam $constant
jvp|--estimator jvp --pairs 48 --streams 48 --window 8 $directions --readout exact --lifetime 2 $adam $constant
nres|--estimator nres $zeroth --max-divergence 0 $adam $constant
pes|--estimator pes $zeroth --max-divergence 0 $adam $constant
node|--estimator node $pairs --credit-decay 0.7 --readout exact $adam $constant
node, all zeroth-order|--estimator node $pairs --credit-decay 0.7 --readout zo $adam $constant --table-rate 5
tbptt, adam|--estimator tbptt $exact $adam $constant
tbptt, muon|--estimator tbptt $exact $muon $falling
tbptt, sgd|--estimator tbptt $exact --optimizer sgd --momentum 0.9 --weight-decay 0 --lr 0.1 --lr-schedule constant
tbptt, two layers, heads|--estimator tbptt $exact --layers 2 --heads 2 $muon $falling
bptt|--estimator bptt $exact --window context $adam $constant --max-steps 8
bptt, square roots|--estimator bptt $exact --window context --checkpointing sqrt $muon $falling --max-steps 8
hybrid, adam|--estimator hybrid $exact --pairs 16 --eps 0.05 --lifetime 4 --beyond-momentum 0.99 --perturbation rank1 $adam $constant
hybrid, muon|--estimator hybrid $exact --pairs 16 --eps 0.05 --lifetime 4 --beyond-momentum 0.99 --perturbation rank1 $muon $falling
marked|--estimator cd-rge $zeroth --targets marked --lifetime 1 --max-divergence 1.8 $adam $constant
"

# digest PROGRAM OPTIONS
digest() {
  local program=$1 data=$folder/text
  shift
  case " $* " in *" --targets marked "*) data=$folder/marked ;; esac
  rm -rf "$folder/run"
  # Words on purpose; of an option that is given twice the later one wins.
  # shellcheck disable=SC2086
  "$program" train --json --quiet --out-dir "$folder/run" $always $* "$data" 2> "$folder/errors" |
    sed -n 's/.*"parameters_digest":"\([0-9a-f]*\)".*/\1/p'
}

# resumed PROGRAM: goes on from a copy of the run in $folder/kept
resumed() {
  rm -rf "$folder/run"
  cp -r "$folder/kept" "$folder/run"
  "$1" train --json --quiet --resume "$folder/run" --max-steps 60 2> "$folder/errors" |
    sed -n 's/.*"parameters_digest":"\([0-9a-f]*\)".*/\1/p'
}

# report NAME BEFORE AFTER
report() {
  if [ -z "$2" ] || [ -z "$3" ]; then
    echo "FAILED  $1: $(head -1 "$folder/errors")"
    failures=$((failures + 1))
  elif [ "$2" = "$3" ]; then
    echo "same    $1  ${3:0:16}"
  else
    echo "DIFFERS $1  ${2:0:16} ${3:0:16}"
    failures=$((failures + 1))
  fi
}

failures=0 compared=0
while IFS='|' read -r name options; do
  [ -n "$name" ] && grep -q -- "$pattern" <<< "$name" || continue
  compared=$((compared + 1))
  before=$(digest "$old" "$options")
  rm -rf "$folder/kept"
  [ -d "$folder/run" ] && mv "$folder/run" "$folder/kept"
  report "$name" "$before" "$(digest "$new" "$options")"
  before=$(resumed "$old")
  report "$name, resumed" "$before" "$(resumed "$new")"
done <<< "$cases"
echo "$compared cases, each also resumed: $failures not the same"
[ "$compared" -gt 0 ] && [ "$failures" -eq 0 ]
