#!/bin/sh
# Our collector against Debian's, on the same vmcore in one run. Usage: bench.sh [VMCORE [ROUNDS]]
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
sh scripts/setup.sh
exec node scripts/run-ts.mjs bench/collector.ts "$@"
