#!/bin/sh
# The whole road, once: a virtual machine is armed by our kexec, crashed, captured by our collector and rebooted.
# Usage: demo.sh [6.1|6.12|both]
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
sh scripts/setup.sh
exec node scripts/run-ts.mjs test/vm/lab/demo.ts "$@"
