#!/bin/sh
# emergency hook: dracut could not bring up the target. There is nowhere to save a dump to, so the machine reboots.
if [ -e /proc/vmcore ]; then
    sh /usr/lib/kdump/capture.sh "the initramfs could not mount its root file system"
fi
