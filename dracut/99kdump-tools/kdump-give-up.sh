#!/bin/sh
# emergency hook: dracut could not mount what it was to mount. What can be saved without that is saved, and the machine
# reboots.
if [ -e /proc/vmcore ]; then
    sh /usr/lib/kdump/capture.sh "the initramfs could not mount its root file system"
fi
