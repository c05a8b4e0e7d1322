# shellcheck shell=bash
# Sourced, never run: `require_node` says what is missing and fails unless Node.js and npm are
# there and new enough.
readonly NODE_NEEDED="20.19.0"

require_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "Node.js $NODE_NEEDED or newer and npm are needed; one of them is not on the PATH."
    echo "See https://nodejs.org for how to install them."
    return 1
  fi
  local found
  found="$(node --version)"
  if [ "$(printf '%s\n' "$NODE_NEEDED" "${found#v}" | sort -V | head -n 1)" != "$NODE_NEEDED" ]; then
    echo "Node.js $NODE_NEEDED or newer is needed; this is $found ($(command -v node))."
    return 1
  fi
}

# Installs what the lock file names, unless that has been done since the lock file last changed.
install_packages() {
  if [ ! -f package-lock.json ]; then
    npm install --no-audit --no-fund
  elif [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund && touch node_modules/.package-lock.json
  fi
}
