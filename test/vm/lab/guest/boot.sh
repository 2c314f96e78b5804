# What the production guest does once its disk is mounted on /disk; sourced by its init, which defines `say` (a line for
# the host, it begins with "lab:") and `node`. The first boot arms and crashes; the boot after the crash looks at what is there and ends.
. /disk/lab/settings.sh

workload=''

# The host reads the disk when QEMU has ended, so everything has to be on it.
finish() {
  say "$*"
  if [ -n "$workload" ]; then
    kill -9 "$workload" 2>/dev/null
    wait "$workload"
    swapoff /disk/lab/swap 2>/dev/null
  fi
  sync
  umount /disk || mount -o remount,ro /disk
  poweroff -f
  sleep 60
}

# At most $1 seconds for the condition in the rest of the line.
await() {
  left=$(($1 * 5))
  shift
  until eval "$*"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    usleep 200000
  done
}

if [ -e /disk/lab/armed ]; then
  say "rebooted after the crash"
  for file in /disk/var/crash/*/*; do
    [ -e "$file" ] && say "found ${file#/disk} $(stat -c %s "$file")"
  done
  finish "finished"
fi

say "booted $(uname -r)"
say "arming"
node /disk/kdump/kexec.mjs -p $KEXEC_OPTIONS /disk/boot/vmlinuz --initrd=/disk/boot/capture.img --append="$CAPTURE_APPEND" \
  || finish "failed: kexec -p ended with status $?"
node /disk/kdump/kexec.mjs -p -S
# Compatible with the original: 1 means loaded.
[ $? -eq 1 ] || finish "failed: kexec -p -S does not report a loaded crash kernel"
[ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || finish "failed: the kernel reports no crash kernel"
say "armed"
if [ -n "$HOST_ACTS" ]; then
  # The host stops the machine when it reads this line, and lets it go on.
  say "host please"
  sleep 5
fi

if [ "$WORKLOAD" = full ]; then
  say "workload begins"
  mkdir -p /lab/tmpfs /lab/huge
  mount -t tmpfs lab /lab/tmpfs
  mount -t hugetlbfs lab /lab/huge
  # Huge pages need free memory in one piece, which the loading of the capture image has cut up.
  sync
  echo 3 >/proc/sys/vm/drop_caches
  echo 1 >/proc/sys/vm/compact_memory
  echo 5 >/proc/sys/vm/nr_hugepages
  dd if=/dev/zero of=/disk/lab/swap bs=1M count=24 2>/dev/null
  chmod 600 /disk/lab/swap
  mkswap /disk/lab/swap >/dev/null && swapon /disk/lab/swap || finish "failed: no swap"
  sync
  # Off by default on a machine of less than 512 MiB.
  echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
  node /disk/lab/workload.mjs /lab/ready &
  workload=$!
  await 180 '[ -e /lab/ready ] || [ ! -e /proc/$workload ]'
  [ -e /lab/ready ] || finish "failed: the workload did not get ready"
  if [ -n "$BALLOON_PAGES" ]; then
    # The host inflates the balloon when it reads this line.
    say "balloon please"
    await 60 '[ "$(sed -n "s/^balloon_inflate //p" /proc/vmstat)" -ge "$BALLOON_PAGES" ]' \
      || finish "failed: the balloon did not inflate"
  fi
  say "workload ready"
fi
[ -n "$BEFORE_CRASH" ] && eval "$BEFORE_CRASH"

touch /disk/lab/armed
sync
if [ "$WORKLOAD" = full ]; then
  # Dirty page cache that nobody writes back before the crash.
  echo 60000 >/proc/sys/vm/dirty_writeback_centisecs
  dd if=/disk/lab/data of=/disk/lab/dirty bs=64k count=64 2>/dev/null
fi
say "crashing"
echo c >/proc/sysrq-trigger
sleep 60
finish "failed: the kernel did not crash"
