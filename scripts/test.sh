#!/bin/sh
# Set-up, type check, lint, unit tests, then the crash lab. The last line is "N passed, N failed"; the status is 0 only
# when nothing failed. A failing step does not hide the ones after it.
set -u
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

sh scripts/setup.sh || {
  echo "0 passed, 1 failed"
  exit 1
}

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
failed_checks=''

step() {
  name=$1
  shift
  echo
  echo "== $name"
  "$@" || failed_checks="$failed_checks $name"
}

tests() {
  node_modules/.bin/vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="$reports/$1.json"
}

step types node_modules/.bin/tsc --noEmit
step lint node_modules/.bin/biome check .
step unit tests unit
step vm tests vm

echo
# shellcheck disable=SC2086
node scripts/sum-tests.mjs "$reports" unit vm -- $failed_checks
