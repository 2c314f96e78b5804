// Vmcores of kernels that describe themselves in words which the C tool does not know yet.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { editVmcoreinfo } from '../../helpers/edit-vmcoreinfo.ts';

/**
 * Since 7.1 page.compound_head is exported as page.compound_info. makedumpfile 1.7.8 does not know that name: it takes
 * every tail page for a page of its own, and leaves out the second page of slabs and of large folios of files as user
 * data, since the word of a tail's descriptor that would be its mapping has the bit of anonymous memory. Told the old
 * name, it reads the same bit at the same place, and judges right.
 */
const [newName, oldName] = ['OFFSET(page.compound_info)=', 'OFFSET(page.compound_head)='];

/** A description of a kernel, in the words that the C tool knows. */
export function inKnownWords(text: string): string {
  return text.includes(oldName) ? text : text.replace(newName, oldName);
}

/**
 * The vmcore to give to the C tool.
 * @returns `vmcore` when the tool knows all words, else `copy`, in which only the description differs
 */
export function vmcoreInKnownWords(vmcore: string, copy: string): string {
  execFileSync('cp', ['--sparse=always', vmcore, copy]);
  const text = editVmcoreinfo(copy, inKnownWords);
  if (text !== inKnownWords(text)) return copy;
  rmSync(copy);
  return vmcore;
}
