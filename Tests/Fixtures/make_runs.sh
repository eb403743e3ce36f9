#!/usr/bin/env bash
# Makes the checkpoints of Tests/Fixtures/runs with a program: Tests/Fixtures/make_runs.sh PROGRAM
#
# They are of the version that is to be read for ever, and not made anew when the format changes: a change adds some.
set -euo pipefail
program=$(realpath "$1")
runs=$(cd "$(dirname "$0")/runs" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -c 'import sys; sys.stdout.buffer.write(bytes((i * i // 7 + i // 3) % 3 for i in range(2000)))' > "$folder/data"

while IFS='|' read -r name options; do
  # shellcheck disable=SC2086
  (cd "$folder" && "$program" train data --vocab-size 3 --hidden-size 2 --max-steps 4 --context 60 --val-fraction 0.1 \
    --threads 1 --quiet --json --out-dir "$name" $options > /dev/null)
  base64 -w 120 "$folder/$name/checkpoint.safetensors" > "$runs/$name.b64"
done <<'RUNS'
cd-rge|--pairs 16 --streams 4
cd-rge-long|--pairs 16 --streams 4 --lifetime 3 --readout zo --rank 2
cd-rge-gaussian|--pairs 16 --streams 4 --perturbation gaussian --optimizer adam
in-place|--pairs 16 --streams 4 --regime inplace
fd-rge|--estimator fd-rge --pairs 16 --streams 1
jvp|--estimator jvp --pairs 16 --streams 4
nres|--estimator nres --pairs 16 --streams 4
pes|--estimator pes --pairs 16 --streams 4
node|--estimator node --pairs 16 --streams 4
bptt|--estimator bptt --streams 2 --checkpointing sqrt
tbptt|--estimator tbptt --streams 2 --layers 2 --optimizer adam
hybrid|--estimator hybrid --pairs 16 --streams 4
searched|--pairs 16 --streams 4 --lr auto --eps auto
RUNS
