#!/usr/bin/env bash
# Builds both targets and the native tests under ASan and UBSan, and runs the tests.
# Last line: `native tests: N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."

out=build-asan
options=(--CDSANITIZE=address,undefined -O "$out" -p 2 -l error)
npx cmake-js build "${options[@]}" || exit 1
npx cmake-js build "${options[@]}" -T native_tests || exit 1

passed=0
failed=0
for source in test/native/*_test.cc; do
  name=$(basename "$source" .cc)
  if "$out/$name"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $name"
  fi
done
echo "native tests: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
