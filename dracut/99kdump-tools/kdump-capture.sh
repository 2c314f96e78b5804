#!/bin/sh
# pre-pivot hook, where systemd does not run the initramfs (there it is kdump-capture.service): what was to be mounted is
# mounted. In a crash kernel the capture runs, and it ends with a reboot.
if [ -e /proc/vmcore ]; then
    # A process of its own, so that nothing that happens there ends dracut's shell.
    sh /usr/lib/kdump/capture.sh
    die "kdump-tools: the capture did not reboot the machine"
fi
