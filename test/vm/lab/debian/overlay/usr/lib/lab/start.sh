#!/bin/sh
# Runs boot.sh of the disk LAB, which is mounted on /disk. It is sourced, at every boot, and has beside the words below
# $phase: what the last boot left with next_phase, "first" when there was none.

# A line for the host. Through the kernel's log: a line written to the console itself may be cut in two by another.
say() {
  echo "lab: $*" >/dev/kmsg
}

# Ends the machine: "finished", or "failed: …".
finish() {
  trap - EXIT
  say "$*"
  sync
  systemctl poweroff --force
  sleep 60
}

# What the next boot finds in $phase, also when this one ends in a crash.
next_phase() {
  echo "$1" >/disk/lab/phase.new
  sync /disk/lab/phase.new
  mv /disk/lab/phase.new /disk/lab/phase
  sync -f /disk
}

# At most $1 seconds until the command in the rest of the line succeeds.
await() {
  until_second=$(($(date +%s) + $1))
  shift
  until eval "$*"; do
    [ "$(date +%s)" -lt "$until_second" ] || return 1
    sleep 0.2
  done
}

# Fills the file system of directory $1 until $2 MiB are left, also of what is kept back for root.
fill() {
  free=$(($(stat -f -c '%f * %S' "$1") / 1048576))
  [ "$free" -le "$2" ] || fallocate -l "$((free - $2))M" "$1/filling"
  sync -f "$1"
}

# A shell that ends at an error would leave the host waiting.
trap 'finish "failed: boot.sh ended in phase $phase"' EXIT
mkdir -p /disk
mount LABEL=LAB /disk || finish "failed: the disk LAB cannot be mounted"
phase=$(cat /disk/lab/phase 2>/dev/null || echo first)
. /disk/lab/boot.sh
