#!/usr/bin/env bash
# Checks everything, from a fresh clone if need be: install, format, types, lint, tidy, some seeds
# of the simulator, two runs of the harness on real processes, tests.
# Prints a line a step, what a failed step said, and as its last line "N passed, N failed", where
# a failed step that is not the tests counts as one. The exit code is 0 only if nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh

passed=0
failed=0
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] || exit 1
  exit 0
}

# step NAME COMMAND…: quiet while it goes well, all of its output when it does not.
step() {
  local name="$1" start="$SECONDS" outcome="ok"
  shift
  "$@" >"$scratch/output" 2>&1 || outcome="FAILED"
  printf '%-8s %-6s %4d s\n' "$name" "$outcome" "$((SECONDS - start))"
  [ "$outcome" = "ok" ] && return 0
  cat "$scratch/output"
  echo "step failed: $name"
  return 1
}

run_tests() {
  NO_COLOR=1 npm run -s test -- \
    --reporter=dot --reporter=json --outputFile.json="$scratch/tests.json"
}

# Prints "PASSED FAILED"; a file that fails before its first test counts as one failed.
count_tests() {
  node -e '
    const { readFileSync } = require("node:fs");
    const report = JSON.parse(readFileSync(process.argv[1], "utf8"));
    const broken = report.testResults.filter(
      ({ status, assertionResults }) =>
        status === "failed" && !assertionResults.some((one) => one.status === "failed"),
    );
    const failed = report.numFailedTests + broken.length;
    console.log(report.numPassedTests, failed === 0 && !report.success ? 1 : failed);
  ' "$scratch/tests.json"
}

if ! require_node; then
  failed=1
  finish
fi
if ! step install install_packages; then
  failed=1
  finish
fi
for name in format:check build lint tidy; do
  step "${name%:check}" npm run -s "$name" || failed=$((failed + 1))
done
step sim npm run -s sim -- --from 1 --count 250 || failed=$((failed + 1))
step jepsen npm run -s jepsen -- --short || failed=$((failed + 1))
tests_passed=0
tests_failed=0
outcome=0
step tests run_tests || outcome=1
if [ -s "$scratch/tests.json" ]; then
  read -r tests_passed tests_failed < <(count_tests)
fi
[ "$outcome" -eq 0 ] || [ "$tests_failed" -gt 0 ] || tests_failed=1
passed=$((passed + tests_passed))
failed=$((failed + tests_failed))
finish
