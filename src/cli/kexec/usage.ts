/** Text of --help. */
export const usage = `Usage: kexec [options] KERNEL

Loads a kernel that this one can jump into, on a panic (-p) or at the next kexec reboot (-l), and jumps (-e).
KERNEL is a bzImage, a vmlinux or a unified kernel image, compressed or not. Without one of the actions below it is
loaded, and the machine reboots into it.

Actions:
 -p, --load-panic          load KERNEL to run when this kernel panics
 -l, --load                load KERNEL for the next kexec reboot
 -u, --unload              unload it again; with -p the crash kernel
 -e, --exec                reboot into the loaded kernel: the service manager ends the services first
     --now                 with -e: jump at once, nothing is ended or unmounted
 -f, --force               load KERNEL and jump at once
 -S, --status              exit with 1 if a crash kernel is loaded, with 0 if not (with -l: the other image);
                           with --json 0 is loaded and 3 is not; 255 is unknown
     --print-ckr-size      bytes that are reserved for a crash kernel
     --load-jump-back-helper --entry=ADDRESS
                           let the next kexec reboot jump back to a kernel that waits at ADDRESS
 -h, --help; -v, --version

The new kernel:
     --initrd=FILE         initial RAM disk; --ramdisk is the same
     --append=STRING       kernel command line; --command-line is the same
     --reuse-cmdline       begin with this kernel's command line
 -t, --type=TYPE           refuse KERNEL unless it is a bzImage (bzImage64), elf-x86_64 or uki
     --hotplug             have the kernel follow changes of CPUs and memory, or fail
     --args-linux, --args-elf, --args-none
                           how a vmlinux is told its arguments; as Linux wants it when not given

How it is loaded:
 -a, --kexec-syscall-auto  kexec_file_load, and kexec_load if the kernel cannot do it so; the default
 -s, --kexec-file-syscall  kexec_file_load only: the kernel reads the files and checks signatures
 -c, --kexec-syscall       kexec_load only: everything is placed by this program
     --no-cma              kexec_file_load: take no memory of the contiguous allocator
     --force-dtb           kexec_file_load: hand on this machine's device tree

By kexec_load only, which they select:
     --mem-min=ADDRESS, --mem-max=ADDRESS
                           lowest and highest address to use
 -i, --no-checks           do not compare the digest before the jump
     --entry=ADDRESS       where to begin, instead of the purgatory
     --load-preserve-context
                           keep this kernel to come back to; needs --mem-max
     --noefi               do not hand on EFI's run-time services
     --pass-memmap-cmdline memory map of a crash kernel on its command line
     --reuse-video-type    video mode as the boot loader set it
     --reset-vga, --console-vga, --console-serial, --serial=PORT, --serial-baud=RATE
                           what the purgatory says, and where: ttyS0 to ttyS3 or an I/O port, 0x3f8

 -x, --no-ifdown           jumping at once: leave network interfaces up
 -y, --no-sync             jumping at once: do not sync disks first
     --dry-run             check everything, print the plan as JSON, touch nothing
     --root=DIR            with --dry-run, -S, --print-ckr-size: DIR/proc and DIR/sys instead of this machine's
     --keep-in=DIR         where the crash load that worked last is kept, to be made again should a later one fail;
                           /var/lib/kdump/armed when not given
     --json                status and errors as JSON
 -d, --debug               say what is done; let the kernel log where it puts things, where it can

Exit codes: 0 done, 1 refused or wrong usage, 253 this kernel cannot do it by kexec_file_load,
255 the load failed or a file is not what it should be. -S: see there.
`;
