/** Text of --help. */
export const usage = `Usage:
  makedumpfile [-c|-l|-p|-z|-E] [-d LEVEL[,LEVEL…]] [OPTION…] VMCORE DUMPFILE
  makedumpfile -F [OPTION…] VMCORE > STREAM
  makedumpfile --split [OPTION…] VMCORE DUMPFILE1 DUMPFILE2 …
  makedumpfile -R DUMPFILE < STREAM
  makedumpfile --reassemble PART1 PART2 … DUMPFILE
  makedumpfile --dump-dmesg [--partial-dmesg] VMCORE LOGFILE
  makedumpfile --mem-usage [--json] /proc/kcore
  makedumpfile -g VMCOREINFO -x VMLINUX
  makedumpfile --verify DUMP…
  makedumpfile --salvage DAMAGED… DUMPFILE
  makedumpfile --explain PFN [-d LEVEL] VMCORE

VMCORE is /proc/vmcore, a copy of it, what QEMU dumps, or a dump that was made before: ELF, kdump-compressed,
flattened, or all parts of a split set.

What goes into the dump:
  -d LEVEL            leave out pages by type, the sum of
                        1 filled with zero    2 page cache without private data   4 all page cache
                        8 user process data  16 free
                      hwpoisoned and offline pages are never dumped; with a list, the next level is tried
                      when there is too little space
  -e                  leave out page descriptors that describe nothing but pages that are left out
  --config FILE       erase what FILE says (makedumpfile.conf(5))
  -x VMLINUX          symbols and types of the kernel, for --config
  -i VMCOREINFO       describes the kernel in place of the dump itself, as made by -g

How it is written:
  -c, -l, -p, -z      compress each page by zlib, LZO, snappy or zstd; the last one given wins
  -E                  write an ELF core
  -F                  write a flattened stream to standard output
  --split             write several files, each a part
  --splitblock-size K granularity of the parts, KiB
  -L SIZE             stop at this size, as if the disk were full
  -f                  overwrite an existing output file
  --num-threads N     threads that compress; as many as CPUs and memory allow when not given
  --cyclic-buffer K   KiB of bitmap to hold at once; 4096 when not given
  --non-mmap          read the input instead of mapping it
  --work-dir DIR, -b ORDER
                      accepted, and not needed: nothing is written but the dump

What is told:
  --dry-run           do everything but write
  --json              the report as JSON on standard output
  --show-stats        the report as text
  --message-level N   what is printed, the sum of
                        1 progress  2 common messages  4 errors  8 debug  16 report   (default 7)
  -D                  same as adding 8 to the message level
  --vtop ADDRESS      translate a virtual address before the work
  --check-params      only check the command line
  -h, -v              this help, the version
`;
