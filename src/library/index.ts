/**
 * The library: a dump opened, the kernel in it as an object, and what walks its structures. See docs/library.md.
 * Everything that is exported here stays; what it is made of may change.
 */
export { buildReport, type Part, type Report } from '../crash/report/build.ts';
export { type ReportFormat, renderReport } from '../crash/report/render.ts';
export { frameText, placeText } from '../crash/triage/frame-text.ts';
export { groupTasks, type TaskGroup } from '../crash/triage/groups.ts';
export { type Finding, identify } from '../crash/triage/identify.ts';
export { type Triage, triage } from '../crash/triage/triage.ts';
export type { Backtrace, Frame } from '../kernel/backtrace.ts';
export { known } from '../kernel/core.ts';
export type { CpuState } from '../kernel/cpus.ts';
export type { CKind, CMember, CPlace, CType } from '../kernel/ctype.ts';
export { pathOf, pathOfFile } from '../kernel/file-path.ts';
export type { Kernel } from '../kernel/kernel.ts';
export type { ListDamage } from '../kernel/list.ts';
export { walkMapleTree } from '../kernel/maple-tree.ts';
export { isMissing, type Missing, type MissingReason } from '../kernel/memory.ts';
export type { PageInfo, PageKind, SlabObject } from '../kernel/memory-map.ts';
export { type MemoryByKind, type MemoryUse, memoryByKind, memoryUse } from '../kernel/memory-use.ts';
export type { KernelModule } from '../kernel/modules.ts';
export { mountsOf } from '../kernel/mounts.ts';
export { type NetworkDevice, networkDevices, openSockets } from '../kernel/network.ts';
export type { KernelObject, Value } from '../kernel/object.ts';
export { inodeType, type OpenFile, openFiles } from '../kernel/open-files.ts';
export { headOf, pageOf, physicalOfPage } from '../kernel/page-of.ts';
export { walkRbTree } from '../kernel/rbtree.ts';
export type { Registers } from '../kernel/registers.ts';
export { type RunQueue, runQueues } from '../kernel/run-queues.ts';
export { type Slab, type SlabCache, slabCaches, slabCounts } from '../kernel/slab.ts';
export type { SymbolOf, SymbolPlace } from '../kernel/symbol-table.ts';
export type { KernelTask, TaskMemory } from '../kernel/tasks.ts';
export type { UnwindStop } from '../kernel/unwind.ts';
export { userMemory } from '../kernel/user-memory.ts';
export { vmAreas } from '../kernel/vm-areas.ts';
export { type VmallocArea, vmallocAreas } from '../kernel/vmalloc.ts';
export { xarrayEntries } from '../kernel/xarray.ts';
export { KdumpError } from '../lib/errors.ts';
export { type Dump, openDump } from './open-dump.ts';
