import { startBeside } from './beside.ts';

/**
 * Whether a mounted file system answers a question that no cache can. It is asked by a program: what waits for a server
 * that is gone may wait for ever, and cannot always be ended.
 */
export function answersWithin(mountPoint: string, seconds: number): boolean {
  const question = startBeside('stat', ['-f', '--', mountPoint], { stdin: 'none' });
  const answered = question.wait(seconds) !== undefined;
  question.kill();
  question.close();
  return answered;
}
