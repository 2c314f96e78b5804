import type { Session } from '../session.ts';
import type { ValueStyle } from './value.ts';

/** How a session shows values; options of a command go before its settings. */
export function styleOf({ kernel, settings }: Session, radix: 10 | 16 = settings.radix): ValueStyle {
  return {
    memory: kernel.core.memory,
    radix,
    named: (address) => {
      const name = nameOfAddress(kernel, address);
      return name === undefined ? '' : ` <${name}>`;
    },
  };
}

/** 'init_task+192'; undefined of what is neither in the kernel's image nor in a module. */
export function nameOfAddress(
  kernel: Session['kernel'],
  address: bigint,
  radix: 10 | 16 = 10,
): string | undefined {
  const place = kernel.symbolAt(address);
  if (place === undefined) return undefined;
  const { symbol, offset } = place;
  if (offset === 0) return symbol.name;
  return `${symbol.name}+${radix === 16 ? '0x' : ''}${offset.toString(radix)}`;
}
