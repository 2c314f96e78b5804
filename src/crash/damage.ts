import type { ListDamage } from '../kernel/list.ts';
import { hex } from './text.ts';

const reasons: Readonly<Record<ListDamage['reason'], string>> = {
  cycle: 'a link leads back to an entry that is not its head',
  missing: 'a link leads to what is not in the dump',
  broken: 'an entry does not know the one before it',
  'too-long': 'it does not end',
};

/** What is said below a list of which only a part could be reached: 'kmem: the list is damaged at …'. */
export const damageText = (command: string, what: string, { reason, address }: ListDamage): string =>
  `${command}: ${what} is damaged at ${hex(address)} (${reasons[reason]}); what could be reached is shown`;
