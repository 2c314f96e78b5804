#!/bin/sh
# Makes the root file system of the lab's Debian guest: packages by mmdebstrap, then what the lab adds. Runs in a mount
# namespace of its own, as root.
# build.sh OUTPUT SCRATCH SOURCES OVERLAY PACKAGES KERNEL…: OUTPUT is the image to make, SOURCES a sources.list,
# PACKAGES are separated by commas, each KERNEL is the directory of an unpacked linux-image. NODE in the environment is
# the program, NODE_VERSION its version.
set -eu
output=$1 scratch=$2 sources=$3 overlay=$4 packages=$5
shift 5
root=$scratch/root

# Nobody reads manuals there.
mmdebstrap --mode=root --variant=minbase --quiet \
  --aptopt='APT::Install-Recommends "false"' \
  --aptopt='Acquire::Languages "none"' \
  --aptopt='Acquire::Retries "3"' \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt=force-unsafe-io \
  --include="$packages" \
  bookworm "$root" "$sources"
# Packages that a test installs are whole.
rm -f "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$root/etc/apt/apt.conf.d/99mmdebstrap"

# The host's node, as a package: others depend on it.
package=$scratch/nodejs
mkdir -p "$package/DEBIAN" "$package/usr/bin"
cp "$NODE" "$package/usr/bin/node"
cat >"$package/DEBIAN/control" <<CONTROL
Package: nodejs
Version: $NODE_VERSION
Architecture: $(dpkg --print-architecture)
Maintainer: the lab
Depends: libc6, libstdc++6
Description: node of the machine that the lab runs on
CONTROL
dpkg-deb --build -Znone --root-owner-group "$package" "$root/tmp/nodejs.deb" >/dev/null
chroot "$root" dpkg --install /tmp/nodejs.deb >/dev/null
rm "$root/tmp/nodejs.deb"
[ "$(chroot "$root" node -p process.versions.node)" = "$NODE_VERSION" ]

# Kernels as their packages leave them, without a run of what makes initramfs images.
for kernel in "$@"; do
  mkdir -p "$root/lib/modules" "$root/boot"
  cp -a "$kernel"/lib/modules/* "$root/lib/modules/"
  [ ! -d "$kernel/boot" ] || cp -a "$kernel"/boot/* "$root/boot/"
done
chown -R 0:0 "$root/lib/modules/" "$root/boot"

cp -R "$overlay/." "$root/"
# Not the first boot of a machine: that would run presets.
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
echo '/dev/vda / ext4 errors=remount-ro 0 0' >"$root/etc/fstab"
chroot "$root" passwd --quiet --delete root
# No password fits, but the account is not locked: sshd would refuse its keys, too.
chroot "$root" useradd --create-home --shell /bin/sh --password '*' kdump
install -d -o 0 -g 0 -m 700 "$root/srv/nfs"
chroot "$root" install -d -o kdump -g kdump -m 700 /srv/ssh

# Keys of the server, and of the client that may log in there; the client knows the server's.
rm -f "$root"/etc/ssh/ssh_host_*
for key in etc/ssh/ssh_host_ed25519_key root/.ssh/id_ed25519; do
  install -d "$root/${key%/*}"
  chroot "$root" ssh-keygen -q -t ed25519 -N '' -C lab -f "/$key"
done
chmod 700 "$root/root/.ssh"
chroot "$root" install -d -o kdump -g kdump -m 700 /home/kdump/.ssh
echo "restrict $(cat "$root/root/.ssh/id_ed25519.pub")" >"$root/home/kdump/.ssh/authorized_keys"
chroot "$root" chown kdump:kdump /home/kdump/.ssh/authorized_keys
read -r type key rest <"$root/etc/ssh/ssh_host_ed25519_key.pub"
echo "10.77.0.1,server $type $key" >"$root/root/.ssh/known_hosts"

# Servers run when a test starts them; the rest only costs time at boot.
chroot "$root" systemctl --quiet disable ssh.service nfs-server.service e2scrub_reap.service getty@.service
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  fstrim.timer serial-getty@ttyS0.service
chroot "$root" systemctl --quiet enable lab.service systemd-networkd.service

truncate --size 3G "$output"
mke2fs -q -F -t ext4 -E root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$output"
