#!/usr/bin/env bash
# npm run fuzz -- --minutes N: builds the fuzzers under ASan and UBSan and runs them for a third of
# the time (default 1 minute together), then those of test/fuzz for the rest: each for its share.
# libFuzzer where clang is installed, else random inputs. CXX chooses another compiler.
# What libFuzzer finds worth keeping is kept in build-fuzz/corpus, a crashing input in build-fuzz.
# Last line: `fuzzers: N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."

minutes=1
if [ "${1-}" = --minutes ]; then minutes=${2:?--minutes expects a number}; fi

out=build-fuzz
options=(--CDSANITIZE=address,undefined -O "$out" -p 2 -l error)
for compiler in ${CXX-clang++-14 clang++}; do
  if command -v "$compiler" >/dev/null; then
    options+=("--CDCMAKE_CXX_COMPILER=$(command -v "$compiler")")
    break
  fi
done
npx cmake-js build "${options[@]}" -T fuzzers || exit 1

sources=(test/native/*_fuzz.cc)
seconds=$(awk -v m="$minutes" -v n="${#sources[@]}" 'BEGIN { printf "%d", m * 20 / n + 0.5 }')
passed=0
failed=0
for source in "${sources[@]}"; do
  name=$(basename "$source" .cc)
  corpus="$out/corpus/$name"
  mkdir -p "$corpus"
  seeds=(test/native/corpus/"$name"/*)
  [ -e "${seeds[0]}" ] && cp -n "${seeds[@]}" "$corpus"
  # libFuzzer takes the folder, the plain main the files in it.
  inputs=("$corpus")
  grep -q LLVMFuzzerRunDriver "$out/$name" || inputs=("$corpus"/*)
  [ -e "${inputs[0]}" ] || inputs=()
  if "$out/$name" -max_total_time="$seconds" -artifact_prefix="$out/" -print_final_stats=1 \
    -verbosity=0 "${inputs[@]}"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $name"
  fi
done

node scripts/build.cjs || exit 1
report=$(mktemp)
trap 'rm -f "$report"' EXIT
node dist/test/fuzz/main.js --seconds "$(awk -v m="$minutes" 'BEGIN { print m * 40 }')" | tee "$report"
if [[ $(tail -n 1 "$report") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
  passed=$((passed + BASH_REMATCH[1]))
  failed=$((failed + BASH_REMATCH[2]))
else
  failed=$((failed + 1))
fi
echo "fuzzers: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
