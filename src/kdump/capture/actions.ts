/** What the machine does when the capture is over. */
export const finalActions = ['reboot', 'poweroff', 'halt'] as const;
export type FinalAction = (typeof finalActions)[number];

/** What it does when no dump could be saved. */
export const failureActions = [...finalActions, 'shell', 'dump_to_rootfs'] as const;
export type FailureAction = (typeof failureActions)[number];

export const isFinalAction = (word: string): word is FinalAction =>
  (finalActions as readonly string[]).includes(word);
