// What the analysis shell shows of a kernel's data, compared with crash(8) and the debug vmlinux on the same vmcore.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/crash/commands/index.ts';
import { Session } from '../../src/crash/session.ts';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import { openKernel } from '../../src/kernel/kernel.ts';
import { openKernelMemory } from '../../src/kernel/open.ts';
import { crashOutput } from './lab/crash-output.ts';
import { comparedKernels, kernelNames, rawVmcore } from './lab/lab.ts';

/** Those of which Debian 12 has the debug information. */
const described = comparedKernels().filter((name) => kernelNames.includes(name));

/** Shown alike, but for spaces at the end of lines and the numbers of gdb's value history. */
const equal = [
  'kmem -i',
  'kmem -s',
  'kmem -v',
  'kmem -V',
  'kmem -z',
  'kmem -f',
  'kmem -F',
  'kmem -S filp',
  'kmem -S kmalloc-96',
  'kmem 1000',
  'kmem -p 1000000',
  'files',
  'files 1',
  'vm',
  'vm 1',
  'mount',
  'net',
  'net -n',
  'net -s',
  'net -S',
  'net -N 1041236234',
  'dev',
  'dev -p',
  'irq',
  'irq -a',
  'irq -b',
  'irq -d',
  'irq -u',
  'irq -s',
  'runq',
  'runq -t',
  'runq -T',
  'runq -m',
  'runq -g',
  'runq -g -c 1',
  'swap',
  'rd linux_banner 8',
  'rd -8 linux_banner 20',
  'rd -16 linux_banner 20',
  'rd -32 linux_banner 10',
  'rd -d jiffies 4',
  'rd -x jiffies 4',
  'rd -u 0x400000 2',
  'struct list_head',
  'struct -o list_head',
  'struct list_head init_task',
  'struct list_head init_task 2',
  'struct task_struct.pid,comm,se init_task',
  'struct -x task_struct.pid,comm,sched_info init_task',
  'struct -d task_struct.flags,tasks init_task',
  'struct -p list_head init_task',
  'struct -p neigh_table.family,hash,key_eq,allow_add,id arp_tbl',
  'struct -p task_struct.thread_pid,pid,nsproxy init_task',
  'struct -p -x task_struct.fs init_task',
  'struct -p file_system_type.name,owner,kill_sb,fs_supers shmem_fs_type',
  'struct page',
  'struct task_struct',
  'struct -o task_struct',
  'struct -o file',
  'struct file',
  'whatis list_head',
  'whatis task_struct',
  'whatis pid_t',
  'whatis init_task',
  'whatis runqueues',
  'p init_task.pid',
  'p init_task.tasks',
  'p &init_task',
  'p runqueues',
  'p *modules.next',
  'p -x jiffies',
  'p irq_stat',
  'p irq_stat:0',
  'list modules',
  'list -H modules',
  'list -r -H modules',
  'list task_struct.tasks -s task_struct.pid -h init_task',
  'list -H modules module.list -s module.name',
  'ptov 0x1000000',
  'mach -m',
  'btop 512a000',
  'ptob 512a',
  'ascii 62696c2f7273752f',
  'eval 128m',
  'eval 1 << 32',
  'eval -b 0x41dc',
  'dis panic 20',
  'dis sysrq_handle_crash',
  'dis -x panic 5',
  'dis -r panic+20',
  'dis -f panic+20 4',
  'dis schedule',
  'search -k deadbeef',
];

/** Globals of every kind that is known, and variables of the first CPU. */
const globals = (
  'init_mm init_cred init_signals init_fs init_files init_nsproxy init_uts_ns init_pid_ns init_user_ns init_ipc_ns ' +
  'init_time_ns init_cgroup_ns root_user root_task_group modules slab_caches super_blocks net_namespace_list ' +
  'pci_root_buses task_groups crypto_alg_list btf_modules __cpu_possible_mask __cpu_online_mask __cpu_present_mask ' +
  '__cpu_active_mask __cpu_dying_mask iomem_resource ioport_resource crashk_res crashk_low_res boot_cpu_data ' +
  'screen_info kexec_crash_image kexec_image system_wq system_highpri_wq system_unbound_wq system_long_wq ' +
  'pci_bus_type platform_bus_type cpu_subsys def_blk_fops memory_fops null_fops zero_fops console_fops ' +
  'simple_dir_inode_operations page_symlink_inode_operations reboot_notifier_list panic_notifier_list prb panic_cpu ' +
  'nr_swap_pages _totalram_pages jiffies loops_per_jiffy max_pfn max_low_pfn min_low_pfn phys_base ' +
  'page_offset_base vmalloc_base vmemmap_base tainted_mask total_forks calc_load_update zero_pfn jiffies_64 ' +
  'total_swap_pages nr_cpu_ids tsc_khz cpu_khz nr_threads max_threads pid_max panic_timeout panic_on_oops ' +
  'panic_on_warn sysctl_overcommit_memory sysctl_overcommit_ratio vm_swappiness min_free_kbytes ' +
  'user_min_free_kbytes sysctl_panic_on_oom sysctl_oom_kill_allocating_task sysctl_oom_dump_tasks vm_dirty_ratio ' +
  'sysctl_max_map_count sysctl_drop_caches sysctl_vfs_cache_pressure suid_dumpable oops_in_progress watchdog_thresh ' +
  'watchdog_enabled sysctl_hung_task_warnings modules_disabled crash_kexec_post_notifiers ' +
  'early_boot_irqs_disabled acpi_disabled system_state saved_command_line linux_banner irq_stat:0 ' +
  'cpu_info:0 runqueues:0 vm_event_states:0 softnet_data:0 hrtimer_bases:0'
).split(' ');

describe.each(described)('kernel %s', (name) => {
  let dump: DumpSource;
  let session: Session;
  let output: Map<string, string>;

  beforeAll(async () => {
    const path = await rawVmcore(name);
    dump = openSource([path]);
    const kernel = openKernel(openKernelMemory(dump.arch!, dump.vmcoreinfo!, dump, dump.segments), {
      notes: dump.notes,
    });
    session = new Session({
      kernel,
      commands,
      dump: {
        paths: [path],
        format: 'ELF',
        dumpLevel: undefined,
        incomplete: false,
        madeAt: undefined,
        vmcoreinfo: dump.vmcoreinfo!,
        pages: () => ({ present: 0, held: 0 }),
        physical: dump,
      },
    });
    const lines = [
      ...equal,
      ...globals.map((each) => `p ${each}`),
      'timer',
      'timer -r',
      'rd -S init_net 400',
      'kmem -n',
      'mach',
      'vtop 0x400000',
      // After it crash takes every address for one of a process.
      'struct -u list_head 0x400000',
    ];
    output = await crashOutput(name, path, lines);
  });
  afterAll(() => dump?.close());

  const ours = async (line: string): Promise<string> => {
    const [word = '', ...args] = line.split(' ');
    const command = commands.find(word)!;
    await command.prepare?.();
    return plain([...command.run(session, args)].join('\n'));
  };

  test.each(equal)('%s', async (line) => {
    expect(await ours(line)).toBe(plain(output.get(line)!));
  });

  test('p: a hundred globals', async () => {
    const differing: unknown[] = [];
    let same = 0;
    for (const each of globals) {
      const theirs = plain(output.get(`p ${each}`)!);
      if (theirs.includes('gdb request failed')) continue;
      const own = await ours(`p ${each}`);
      if (own === theirs) same++;
      else differing.push({ each, first: firstDifference(own, theirs) });
    }
    expect(differing).toEqual([]);
    expect(same).toBeGreaterThanOrEqual(100);
  });

  test('kmem -n: nodes, zones, sections and blocks, of which crash does not know the states that are an enum', async () => {
    const own = await ours('kmem -n');
    expect(own).toMatch(/memory0 .* ONLINE /);
    expect(own).toBe(plain(output.get('kmem -n')!.replaceAll('UNKNOWN', 'ONLINE ')));
  });

  test('mach: the same but for HZ, and for what crash takes for fixed or does not know', async () => {
    const facts = (text: string): string[] =>
      plain(text)
        .split('\n')
        .map((line) => line.trim())
        .filter(
          (line) =>
            !/^(HZ|KASLR OFFSET|KERNEL START MAP|KERNEL MODULES BASE|\(unknown\)|MCE|VC2?) ?/.test(line),
        );
    const own = facts(await ours('mach'));
    expect(own.length).toBeGreaterThan(18);
    expect(
      facts(output.get('mach')!).filter((line) => !own.includes(line) && !line.includes('[unavailable]')),
    ).toEqual([]);
    expect(await ours('mach')).toMatch(/^ +HZ: 250$/m);
  });

  test('vtop of an address of a process: the tables, the area and the page', async () => {
    // crash prints the heading of the page once in a session.
    const body = (text: string): string[] =>
      plain(text)
        .split('\n')
        .filter((line) => !/^ +PAGE +PHYSICAL/.test(line) && line !== '');
    const own = body(await ours('vtop 400000'));
    expect(own).toContainEqual(expect.stringContaining('uptodate'));
    expect(own).toEqual(body(output.get('vtop 0x400000')!));
  });

  test('struct: of the address of another kind of object, that it is garbage', async () => {
    const task = session.task.address.toString(16);
    expect(await ours(`struct file.f_path ${task}`)).toContain('an object of the slab cache task_struct');
    expect(await ours(`struct task_struct.pid ${task}`)).toBe('pid = 1,');
    expect(await ours(`struct thread_info ${task}`)).not.toContain('garbage');
  });

  test('p: names of per-CPU variables as they were before 2.6.34', async () => {
    expect((await ours('p per_cpu__irq_stat')).split('\n')).toEqual((await ours('p irq_stat')).split('\n'));
  });

  test('set: the CPU of the context', async () => {
    expect(await ours('set cpu')).toBe(await ours('set'));
  });

  test('struct -u: in the memory of a process', async () => {
    const line = 'struct -u list_head 0x400000';
    expect(await ours(line)).toBe(plain(output.get(line)!));
  });

  test('timer: every timer of the bases that crash knows', async () => {
    // Since 6.9 there are three bases on a CPU; crash shows two of them, by the names of before.
    const own = timersOf(await ours('timer'));
    const theirs = timersOf(output.get('timer')!);
    expect(theirs.length).toBeGreaterThan(10);
    expect(theirs.filter((each) => !own.includes(each))).toEqual([]);
  });

  test('timer -r: every timer, when it expires and what it calls', async () => {
    // crash computes the time of now from the ticks of the first clock, which may have stopped long ago: no TTE.
    const theirs = highResolution(output.get('timer -r')!);
    expect(theirs.length).toBeGreaterThan(4);
    expect(highResolution(await ours('timer -r'))).toEqual(theirs);
  });

  test('rd -S: names of symbols and slab caches', async () => {
    const theirs = plain(output.get('rd -S init_net 400')!).split('\n');
    const own = (await ours('rd -S init_net 400')).split('\n');
    const differing = own.flatMap((line, i) =>
      line === theirs[i] ? [] : [{ own: line, theirs: theirs[i] }],
    );
    expect(differing).toEqual([]);
    expect(own.filter((line) => line.includes('[')).length).toBeGreaterThan(5);
  });
});

/** Without what is counted up, and without spaces at the end of lines. */
function plain(text: string): string {
  const lines = text.split('\n').map((line) => line.replace(/\$\d+ =/, '$N =').trimEnd());
  return lines.join('\n').trim();
}

function firstDifference(
  own: string,
  theirs: string,
): { own: string | undefined; theirs: string | undefined } {
  const [a, b] = [own.split('\n'), theirs.split('\n')];
  const at = a.findIndex((line, i) => line !== b[i]);
  return { own: a[at], theirs: b[at] };
}

const timersOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => /^ +\d+ +-?\d+ +[0-9a-f]{16} /.test(line))
    .map((line) => line.trim().replace(/\s+/g, ' '));

const highResolution = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => /^ +(\d+ +\d+) +-?\d+ +([0-9a-f]{16} .*)$/.exec(line))
    .filter((found) => found !== null)
    .map(([, times, rest]) => `${times!.replace(/ +/, ' ')} ${rest!.trim()}`);
