#!/usr/bin/env bash
# Makes the bundled corpus, the golden files and manifest.json again. Needs swiftc, zstd, lz4 and coreutils.
# Compressed bytes depend on the version of the tool (zstd 1.5.4, lz4 1.9.4); what they decode to does not.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

swiftc -O generate.swift -o "$work/generate"
"$work/generate" >"$work/zoo"
zstd -q -f -19 --check "$work/zoo" -o zoo.zst
lz4 -q -f -9 -BX --frame-crc "$work/zoo" zoo.lz4

rm -rf golden && mkdir golden && cd golden
entries="$work/entries"
: >"$entries"

le32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
zst() { zstd -q -c -19 --check --no-progress; }
lz4c() { lz4 -q -c -9 -BX --frame-crc; }
# flip FILE OFFSET: the lowest bit of the byte there, counted from the end if negative.
flip() {
  local at=$2 size byte
  size=$(stat -c %s "$1")
  if [ "$at" -lt 0 ]; then at=$((size + at)); fi
  byte=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
entry() { printf '%s\n' "$1" >>"$entries"; }
# good PATH DTYPE DECODED [MORE]; bad PATH DTYPE NOTE [MORE]
good() {
  local width=1
  if [ "$2" = u16 ]; then width=2; fi
  entry "{\"path\":\"$1\",\"sha256\":\"$(sum "../$1")\",\"bytes\":$(stat -c %s "../$1"),\"dtype\":\"$2\",\"tokens\":$(($(stat -c %s "$3") / width)),\"decoded_sha256\":\"$(sum "$3")\",\"exit_code\":0${4-}}"
}
bad() {
  entry "{\"path\":\"golden/$1\",\"sha256\":\"$(sum "$1")\",\"bytes\":$(stat -c %s "$1"),\"dtype\":\"$2\",\"tokens\":null,\"decoded_sha256\":null,\"exit_code\":65${4-},\"note\":\"$3\"}"
}
sum() { sha256sum "$1" | cut -d' ' -f1; }

text="$work/text"
head -c 3000 "$work/zoo" >"$text"
: >"$work/nothing"

cp "$text" text.bin
zst <"$text" >text.zst
lz4c <"$text" >text.lz4
{ head -c 1000 "$text" | zst; tail -c +1001 "$text" | zst; } >concatenated.zst
{ head -c 1000 "$text" | lz4c; tail -c +1001 "$text" | lz4c; } >concatenated.lz4
skip() { printf '\x50\x2a\x4d\x18' && le32 6 && printf 'a note'; }
{ skip; cat text.zst; } >skippable-first.zst
{ skip; cat text.lz4; } >skippable-first.lz4
zst <"$work/nothing" >empty-frame.zst
lz4c <"$work/nothing" >empty-frame.lz4
cat empty-frame.zst text.zst >empty-frame-first.zst

# Seekable: three frames and the table of their sizes, without checksums of its own.
: >seekable.zst
table="$work/table"
: >"$table"
for part in 0 1 2; do
  tail -c +$((part * 1000 + 1)) "$text" | head -c 1000 | zst >"$work/part"
  cat "$work/part" >>seekable.zst
  { le32 "$(stat -c %s "$work/part")"; le32 1000; } >>"$table"
done
{ printf '\x5e\x2a\x4d\x18'; le32 33; cat "$table"; le32 3; printf '\x00'; le32 $((0x8F92EAB1)); } >>seekable.zst

# Blocks that refer to the one before.
for _ in $(seq 60); do cat "$text"; done >"$work/repeated"
lz4 -q -c -9 -B4 -BD --frame-crc "$work/repeated" >linked-blocks.lz4

# 1000 tokens of two bytes, all below 512.
for i in $(seq 0 999); do printf "\\x$(printf %02x $((i * 7 % 256)))\\x$(printf %02x $((i % 2)))"; done >"$work/u16"
zst <"$work/u16" >u16.zst
{ cat "$work/u16"; printf 'x'; } | zst >half-token.u16.zst
{ head -c 1998 "$work/u16"; printf '\x60\xea'; } | zst >over-vocabulary.u16.zst

for codec in zst lz4; do
  size=$(stat -c %s text.$codec)
  head -c $((size / 2)) text.$codec >truncated.$codec
  head -c $((size - 2)) text.$codec >truncated-checksum.$codec
  head -c 5 text.$codec >header-only.$codec
  cp text.$codec flipped.$codec && flip flipped.$codec $((size / 2))
  cp text.$codec flipped-checksum.$codec && flip flipped-checksum.$codec -1
  { cat text.$codec; printf 'garbage that is no frame'; } >garbage-tail.$codec
done
cp text.lz4 flipped-header.lz4 && flip flipped-header.lz4 6
: >empty.bin
: >empty.zst
# A frame of three bytes that asks for a window of 2 GiB.
printf '\x28\xb5\x2f\xfd\x00\xa8\x19\x00\x00abc' >window-2gib.zst

good zoo.zst u8 "$work/zoo"
good zoo.lz4 u8 "$work/zoo"
for name in text.bin text.zst text.lz4 concatenated.zst concatenated.lz4 skippable-first.zst skippable-first.lz4 \
  empty-frame-first.zst seekable.zst; do
  good "golden/$name" u8 "$text"
done
good golden/empty-frame.zst u8 "$work/nothing"
good golden/empty-frame.lz4 u8 "$work/nothing"
good golden/linked-blocks.lz4 u8 "$work/repeated"
good golden/u16.zst u16 "$work/u16" ',"vocab_size":512'
bad half-token.u16.zst u16 "ends in half a token" ',"vocab_size":512'
bad over-vocabulary.u16.zst u16 "token 999 is 60000" ',"vocab_size":512'
for codec in zst lz4; do
  bad truncated.$codec u8 "ends within a block"
  bad truncated-checksum.$codec u8 "ends within the content checksum"
  bad header-only.$codec u8 "ends within the frame header"
  bad flipped.$codec u8 "one bit of the content differs"
  bad flipped-checksum.$codec u8 "one bit of the content checksum differs"
  bad garbage-tail.$codec u8 "goes on after the last frame"
done
bad flipped-header.lz4 u8 "the header checksum does not match"
bad empty.bin u8 "no bytes at all"
bad empty.zst u8 "no bytes at all"
bad window-2gib.zst u8 "asks for a window of 2 GiB"

{ printf '{"files":[\n'; sed '$!s/$/,/' "$entries"; printf ']}\n'; } >../manifest.json
