import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { KdumpError } from '../lib/errors.ts';

type Request = (
  url: string,
  options: RequestOptions,
  taken: (answer: IncomingMessage) => void,
) => ClientRequest;

/**
 * Sends a text to a URL by POST. The client is loaded on first use: whoever sends nothing does not pay for it.
 * @throws KdumpError `post-failed` when it was not taken within so many seconds
 */
export async function postText(url: string, type: string, text: string, seconds: number): Promise<void> {
  const refuse = (why: string): KdumpError =>
    new KdumpError('post-failed', `${url} did not take the message: ${why}`, { facts: { url } });
  const body = Buffer.from(text);
  const client = url.startsWith('https:') ? await import('node:https') : await import('node:http');
  await new Promise<void>((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { 'content-type': type, 'content-length': body.length },
      // No connection is kept for a second message.
      agent: false,
    };
    const sent = (client.request as Request)(url, options, (answer) => {
      const { statusCode = 0 } = answer;
      answer.destroy();
      if (statusCode >= 200 && statusCode < 300) resolve();
      else reject(refuse(`it answered ${statusCode}`));
    });
    const timer = setTimeout(() => sent.destroy(refuse(`no answer within ${seconds} s`)), seconds * 1000);
    sent.on('close', () => clearTimeout(timer));
    sent.on('error', (error) => reject(error instanceof KdumpError ? error : refuse(error.message)));
    sent.end(body);
  });
}
