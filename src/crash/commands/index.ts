import { CommandTable } from '../command.ts';
import { ascii } from './ascii.ts';
import { bt } from './bt.ts';
import { btop, ptob } from './btop.ts';
import { coverage } from './coverage.ts';
import { dev } from './dev.ts';
import { dis } from './dis.ts';
import { evaluate } from './eval.ts';
import { files } from './files.ts';
import { foreach } from './foreach.ts';
import { groups } from './groups.ts';
import { help } from './help.ts';
import { identify } from './identify.ts';
import { irq } from './irq.ts';
import { kmem } from './kmem.ts';
import { list } from './list.ts';
import { log } from './log.ts';
import { mach } from './mach.ts';
import { mod } from './mod.ts';
import { mount } from './mount.ts';
import { net } from './net.ts';
import { p } from './p.ts';
import { ps } from './ps.ts';
import { ptov } from './ptov.ts';
import { rd } from './rd.ts';
import { extend, gdb, wr } from './refused.ts';
import { regs } from './registers.ts';
import { report } from './report.ts';
import { runq } from './runq.ts';
import { search } from './search.ts';
import { set } from './set.ts';
import { signature } from './signature.ts';
import { struct } from './struct.ts';
import { swap } from './swap.ts';
import { sym } from './sym.ts';
import { sys } from './sys.ts';
import { task } from './task.ts';
import { timer } from './timer.ts';
import { tree } from './tree.ts';
import { triage } from './triage.ts';
import { vm } from './vm.ts';
import { vtop } from './vtop.ts';
import { warned } from './warned.ts';
import { whatis } from './whatis.ts';

/** Every command of the shell, one line each. */
export const commands = new CommandTable([
  ascii,
  bt,
  btop,
  coverage,
  dev,
  dis,
  evaluate,
  extend,
  files,
  foreach,
  gdb,
  groups,
  help,
  identify,
  irq,
  kmem,
  list,
  log,
  mach,
  mod,
  mount,
  net,
  p,
  ps,
  ptob,
  ptov,
  rd,
  regs,
  report,
  runq,
  search,
  set,
  signature,
  struct,
  swap,
  sym,
  sys,
  task,
  timer,
  tree,
  triage,
  vm,
  vtop,
  warned,
  whatis,
  wr,
]);
