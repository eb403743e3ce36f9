#!/bin/sh
# What bf16 factors (weights and states; sums in float) would cost CD-RGE, by emulation in a build of its own: cosines of the estimate
# with the exact gradient, and held-out losses after equal steps, float beside bf16, for several ε and seeds. Lines of Markdown.
#
#   Benchmarks/bf16.sh [STEPS] [DATA]
set -eu
cd "$(dirname "$0")/.."
steps=${1:-1000}
data=${2:-corpora/zoo.zst}
bf16="-Xcc -DLZ_EMULATE_BF16"
measure="-c release -Xswiftc -enable-testing --disable-xctest --filter CosineMeasurement"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# shellcheck disable=SC2086
cosines() { LONGZOO_MEASURE_COSINES=1 swift test $measure --scratch-path "$1" $2 | grep '^cosine'; }
echo "float:" && cosines .build-float-measure ""
echo "bf16:" && cosines .build-bf16-measure "$bf16"

# shellcheck disable=SC2086
swift build -c release --product longzoo --scratch-path .build-bf16 $bf16 >/dev/null
swift build -c release --product longzoo >/dev/null
echo "| ε | seed | float | bf16 | (held-out bits a token after $steps steps)"
echo "|---|---|---:|---:|"
for eps in 0.2 0.02; do
  for seed in 1 2 3; do
    printf '| %s | %s ' "$eps" "$seed"
    for build in .build .build-bf16; do
      "$build/release/longzoo" train --max-steps "$steps" --optimizer adam --lr-schedule constant --pairs 128 --eps "$eps" --seed "$seed" --save-interval never --json --quiet \
        --out-dir "$out/$build-$eps-$seed" "$data" | sed 's/.*"val_bits_per_token":\([0-9.]*\).*/| \1 /' | tr -d '\n'
    done
    echo '|'
  done
done
