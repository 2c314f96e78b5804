#!/bin/sh
# Our collector and kexec against Debian's, turn by turn on the same files. Options: bench/README.md
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
sh scripts/setup.sh
exec node scripts/run-ts.mjs bench/collector.ts "$@"
