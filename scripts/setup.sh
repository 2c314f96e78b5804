#!/bin/sh
# Everything the tests and the demo need, on a fresh Debian 12 or 13 with Node.js and npm. Quiet when nothing is to do.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $*" >&2
  exit 1
}

# The program that shows that a package is there, and the package. busybox may be of either package.
programs='
  qemu-system-x86_64 qemu-system-x86
  mksquashfs squashfs-tools
  busybox busybox-static
  cpio cpio
  depmod kmod
  mke2fs e2fsprogs
  strip binutils
  xz xz-utils
  zstd zstd
  lz4 lz4
  gzip gzip
  dracut dracut-core
  mmdebstrap mmdebstrap
  systemctl systemd
'
# Packages without a program of their own: codecs that are loaded by FFI, the keys of Debian's archive.
libraries='liblzo2-2 libzstd1 libdeflate0 libsnappy1v5 debian-archive-keyring ca-certificates'

# depmod, mke2fs and debugfs live in sbin, which is not in an ordinary user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

missing=''
while read -r program package; do
  [ -n "$program" ] || continue
  command -v "$program" >/dev/null 2>&1 || missing="$missing $package"
done <<LIST
$programs
LIST
for package in $libraries; do
  status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  case $status in
    *installed*) ;;
    *) missing="$missing $package" ;;
  esac
done

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    fail "packages are missing:$missing
  run this as root, or install sudo"
  fi
}

retry() {
  "$@" && return 0
  for pause in 3 15; do
    echo "setup: trying again in $pause s: $*" >&2
    sleep "$pause"
    "$@" && return 0
  done
  return 1
}

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 || fail "apt-get is not here; install:$missing"
  echo "setup: installing$missing"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  retry as_root apt-get -q update >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "apt-get update failed"
  }
  # shellcheck disable=SC2086
  retry as_root apt-get -q install --yes --no-install-recommends $missing >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install$missing"
  }
fi

command -v node >/dev/null 2>&1 || fail "Node.js is not here; version 20.19 or newer is needed"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "Node.js $(node --version) is too old; version 20.19 or newer is needed"
command -v npm >/dev/null 2>&1 || fail "npm is not here"

# No package of ours needs an install script: koffi and esbuild come as built binaries.
install_modules() {
  output=$(npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1) && return 0
  case $output in
    *'from lock file'*)
      # A registry may hold the binaries of some platforms only, and a lock file made with it lists no others. npm ci
      # of npm 11 insists on all of them; npm install takes the same locked versions, and leaves the lock file alone.
      npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
      ;;
    *)
      echo "$output" >&2
      return 1
      ;;
  esac
}

installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ]; then
  echo "setup: installing the packages of package-lock.json"
  retry install_modules || fail "npm could not install the packages of package-lock.json"
  # The mark is compared by date with the lock file; npm may keep an older one.
  touch "$installed"
fi

# A missing or older bundle means there is something to build.
stale=$(find src scripts/build.mjs package.json -newer dist/kexec.mjs 2>/dev/null | head -n 1 || true)
if [ ! -e dist/kexec.mjs ] || [ -n "$stale" ]; then
  npm run --silent build || fail "the build failed"
fi
