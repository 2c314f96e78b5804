#!/bin/sh
# cmdline hook: nobody sits at the console of a machine that has crashed. An initramfs that fails runs the emergency
# hook and reboots, instead of waiting at a shell for ever; and a device is waited for with a bound: where systemd waits
# there is none by itself. The kernel command line still wins.
if [ -e /proc/vmcore ]; then
    echo "rd.shell=0 rd.emergency=reboot rd.timeout=180" > /etc/cmdline.d/00-kdump-tools.conf
fi
