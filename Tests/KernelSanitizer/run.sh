#!/bin/sh
# The C kernels under AddressSanitizer and UndefinedBehaviorSanitizer with every instruction set that the processor has, and under
# valgrind with those that it knows (not AVX-512). Blocks of memory end where the kernels' contract ends, to the byte.
set -eu
cd "$(dirname "$0")/../.."
build=.build/sanitize
mkdir -p "$build"
compiler=${CC:-clang}
# DWARF 4, for valgrind; lld, because gold warns of every symbol of AddressSanitizer's
flags="-std=gnu17 -gdwarf-4 -Wall -Wextra -Werror -Wno-unknown-pragmas -ISources/CKernels/include"
echo "int main(void) { return 0; }" | "$compiler" -fuse-ld=lld -x c - -o "$build/linked" 2>/dev/null && flags="$flags -fuse-ld=lld"
sources="Sources/CKernels/*.c Tests/KernelSanitizer/*.c"

echo "AddressSanitizer and UndefinedBehaviorSanitizer"
# shellcheck disable=SC2086
"$compiler" $flags -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all $sources -lm -o "$build/sanitized"
"$build/sanitized"

echo "optimized as in a release"
# shellcheck disable=SC2086
"$compiler" $flags -O2 -fsanitize=address $sources -lm -o "$build/optimized"
"$build/optimized"

command -v valgrind >/dev/null || { echo "valgrind is not installed: apt-get install valgrind" >&2; exit 1; }
echo "valgrind"
# shellcheck disable=SC2086
"$compiler" $flags -O2 $sources -lm -o "$build/plain"
valgrind --quiet --error-exitcode=1 --leak-check=full "$build/plain" portable avx2
