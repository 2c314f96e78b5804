import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { postText } from '../../src/system/http-post.ts';

let server: Server;
let url: string;
let status: number | null;
let taken: string[];
beforeEach(async () => {
  status = 200;
  taken = [];
  server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      taken.push(`${request.method} ${request.headers['content-type']} ${Buffer.concat(pieces)}`);
      if (status !== null) response.writeHead(status).end('thanks');
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

it('sends a text', async () => {
  await postText(url, 'application/json', '{"a":"ä"}', 10);
  expect(taken).toEqual(['POST application/json {"a":"ä"}']);
});

it.each([
  [404, /it answered 404/],
  [null, /no answer within 0.1 s/],
])('says why it was not taken: %s', async (answer, message) => {
  status = answer;
  await expect(postText(url, 'text/plain', 'x', answer === null ? 0.1 : 10)).rejects.toThrow(message);
});

it('says that nobody is there', async () => {
  server.close();
  await expect(postText(url, 'text/plain', 'x', 10)).rejects.toMatchObject({ code: 'post-failed' });
});
