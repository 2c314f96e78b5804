#!/bin/bash
# dracut module: makes an initramfs that dracut builds able to save a dump. It is for targets that need what dracut
# brings (LVM, LUKS, multipath …); a plain partition needs only the image of mkdumprd, which is smaller and boots sooner.
#
# Only when asked for, in an image of its own that is loaded by kexec -p. "image_builder dracut" in /etc/kdump.conf has
# kdumpctl do it; by hand it is
#   dracut --add kdump-tools --omit shutdown --no-hostonly-cmdline IMAGE KERNEL_RELEASE
# (dracut's module shutdown would take kexec in, and with it the whole of node once more).
# The command line of the capture kernel needs root= (and what else dracut needs to find it), and no rootfstype= but that
# of the root.
#
# Settings, in a file of /etc/dracut.conf.d:
#   kdump_tools_path=/var/crash          directory of dumps, seen from the root of the target
#   kdump_tools_mounted_at=/sysroot      where dracut mounts the target: /sysroot is the root file system; another one is
#                                        mounted with dracut --mount "DEVICE /kdumproot TYPE"
#   kdump_tools_args=()                  more options for mkdumprd --into, such as --core-collector "makedumpfile -c -d 31"
#   kdump_tools_handover=                what kdumpctl has written down for mkdumprd; takes the place of the three above
#   kdump_tools_mkdumprd=(mkdumprd)      the command, in words; dracut looks for programs only in /sbin, /bin, /usr/sbin
#                                        and /usr/bin

# called by dracut
check() {
    local -a mkdumprd=("${kdump_tools_mkdumprd[@]:-mkdumprd}")
    require_binaries "${mkdumprd[0]}" mksquashfs || return 1
    return 255
}

# called by dracut
depends() {
    echo base
}

# called by dracut
installkernel() {
    # Whether this machine has them loaded now says nothing.
    hostonly='' instmods loop squashfs
}

# called by dracut
install() {
    local path=${kdump_tools_path:-/var/crash}
    local mounted_at=${kdump_tools_mounted_at:-/sysroot}
    local -a mkdumprd=("${kdump_tools_mkdumprd[@]:-mkdumprd}")
    local -a what
    local on

    if [[ $kdump_tools_handover ]]; then
        what=(--handover "$kdump_tools_handover")
    else
        # Below another mount the dump would be written where nobody finds it.
        # shellcheck disable=SC2154
        if [[ $hostonly && $mounted_at == /sysroot ]] && on=$(findmnt -n -o TARGET --target "$path") && [[ $on != / ]]; then
            dfatal "kdump-tools: $path is on $on, not on the root file system: mount that one by --mount and name it in kdump_tools_mounted_at"
            exit 1
        fi
        what=(--mounted-at "$mounted_at" --path "$path" "${kdump_tools_args[@]}")
    fi

    # shellcheck disable=SC2154
    "${mkdumprd[@]}" --into "$initdir" "${what[@]}" || {
        dfatal "kdump-tools: the capture cannot be added to the initramfs"
        exit 1
    }
    # What the script of mkdumprd uses, beside the shell's own commands.
    inst_multiple cat date dmesg grep mkdir modprobe mount rm sleep sync umount
    inst_multiple -o findfs halt ip poweroff reboot

    # shellcheck disable=SC2154
    inst_hook cmdline 00 "$moddir/kdump-no-shell.sh"
    # shellcheck disable=SC2154
    if dracut_module_included systemd-initrd; then
        # A unit is bounded, ordered and told of like any other.
        inst_simple "$moddir/kdump-capture.service" "$systemdsystemunitdir/kdump-capture.service"
        mkdir -p "$initdir$systemdsystemunitdir/initrd.target.wants"
        ln_r "$systemdsystemunitdir/kdump-capture.service" "$systemdsystemunitdir/initrd.target.wants/kdump-capture.service"
    else
        # Behind the one that mounts what --mount names (00).
        inst_hook pre-pivot 50 "$moddir/kdump-capture.sh"
    fi
    inst_hook emergency 00 "$moddir/kdump-give-up.sh"
    # With systemd and without a shell, this is the one that is run.
    inst_hook shutdown-emergency 00 "$moddir/kdump-give-up.sh"
}
