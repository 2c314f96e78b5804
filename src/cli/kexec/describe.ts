import type { PlacedAttempt } from '../../kexec/attempts.ts';
import type { LoadPlan, Plan } from '../../kexec/plan.ts';

type Say = (text: string) => void;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** What -d tells before anything is done. */
export function describePlan(plan: Plan, say: Say): void {
  if (plan.action === 'unload') say(`unloading the ${plan.type} image`);
  else if (plan.action === 'load-jump-back') say(`loading a way back to ${hex(plan.first.entry)}`);
  else describeLoad(plan, say);
}

function describeLoad(plan: LoadPlan, say: Say): void {
  const { path, kind, wrapping, bzImage } = plan.kernel;
  const inside = wrapping.length === 0 ? '' : ` in ${wrapping.join(', ')}`;
  say(
    `kernel ${path}: ${kind}${inside}${
      bzImage === null ? '' : `, ${bzImage.kernel_version ?? 'no version'}, protocol ${bzImage.protocol}`
    }`,
  );
  say(`initrd ${plan.initrd?.path ?? 'none'}`);
  const limit = plan.commandLineLimit === null ? '' : ` of ${plan.commandLineLimit}`;
  say(
    `command line (${plan.commandLineBytes}${limit} bytes, from ${plan.commandLineFrom}): ${plan.commandLine}`,
  );
  const { needed, reserved, left } = plan.memory;
  if (needed !== null)
    say(
      `memory: ${needed.total} bytes at least (kernel ${needed.kernel}, initrd ${needed.initrd})${
        reserved === null ? '' : `, ${reserved.size} reserved, ${left} left to work with`
      }`,
    );
  say(`first ${plan.first.syscall}`);
  if (plan.first.syscall === 'kexec_load') describeSegments(plan.first, say);
  if (plan.fallback === null) say(`no fallback: ${plan.noFallback}`);
  else {
    say(`then, after ${plan.fallbackErrnos.join(', ')}: kexec_load`);
    describeSegments(plan.fallback, say);
  }
}

function describeSegments({ entry, segments, digest, warnings }: PlacedAttempt, say: Say): void {
  for (const { name, mem, memsz, bytes } of segments)
    say(`segment ${name}: ${bytes.length} bytes at ${hex(mem)}, ${hex(memsz)} in memory`);
  say(`entry ${hex(entry)}, digest ${digest ?? 'not checked'}`);
  for (const warning of warnings) say(`of kexec_load: ${warning}`);
}
