#!/usr/bin/env bash
# Shows Flotilla on a fresh machine: installs its packages, builds it, and becomes `flotilla demo`
# (which takes the arguments). Nothing is left running: Ctrl-C reaches the demo itself.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh

# quietly WHAT COMMAND…: says what it does, and shows the command's output only if it fails.
quietly() {
  local what="$1" output
  shift
  echo "$what …" >&2
  if ! output="$("$@" 2>&1)"; then
    printf '%s\n%s failed.\n' "$output" "$what" >&2
    exit 1
  fi
}

require_node >&2 || exit 1
quietly "Installing packages" install_packages
quietly "Building" npm run -s build
exec node dist/src/cli/flotilla.js demo "$@"
