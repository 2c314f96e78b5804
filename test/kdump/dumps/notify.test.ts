import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Notification } from '../../../src/kdump/config/types.ts';
import {
  checkSafeProgram,
  planNotifications,
  readTold,
  recordTold,
  tell,
} from '../../../src/kdump/dumps/notify.ts';
import { savedDump } from './fixture.ts';

const post: Notification = { when: 'boot', how: 'post', to: 'http://127.0.0.1/' };
const atCapture: Notification = { ...post, when: 'capture' };
const day = 24 * 3600 * 1000;
const dump = savedDump();
const soon = Date.parse(dump.time) + 1000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-notify-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('planNotifications', () => {
  it('tells everybody of every dump, once', () => {
    const exec: Notification = { when: 'boot', how: 'exec', to: '/bin/tell' };
    const plan = planNotifications([dump], [post, atCapture, exec], [], soon);
    expect(plan).toEqual([
      { dump, notification: post },
      { dump, notification: exec },
    ]);
    recordTold(directory, [], plan.slice(0, 1));
    expect(planNotifications([dump], [post, exec], readTold(directory), soon)).toEqual(plan.slice(1));
    recordTold(directory, readTold(directory)!, plan.slice(1));
    expect(planNotifications([dump], [post, exec], readTold(directory), soon)).toEqual([]);
  });

  it('takes what is old for no news when nothing is recorded, and only then', () => {
    expect(planNotifications([dump], [post], null, soon)).toHaveLength(1);
    expect(planNotifications([dump], [post], null, soon + 2 * day)).toEqual([]);
    expect(planNotifications([dump], [post], [], soon + 2 * day)).toHaveLength(1);
  });

  it('survives a record that is none', () => {
    expect(readTold(directory)).toBeNull();
    writeFileSync(join(directory, 'notified.json'), '{');
    expect(readTold(directory)).toBeNull();
  });
});

describe('tell', () => {
  it('runs a program with the dump on its standard input', async () => {
    const program = join(directory, 'tell');
    writeFileSync(program, `#!/bin/sh\ncat > '${directory}/told'\n`, { mode: 0o700 });
    await tell({ dump, notification: { when: 'boot', how: 'exec', to: program } });
    expect(JSON.parse(readFileSync(join(directory, 'told'), 'utf8'))).toMatchObject({
      event: 'dump',
      name: dump.name,
    });
    writeFileSync(program, '#!/bin/sh\necho no >&2\nexit 3\n');
    await expect(tell({ dump, notification: { when: 'boot', how: 'exec', to: program } })).rejects.toThrow(
      /status 3: no/,
    );
  });

  it('runs no program that others can write', () => {
    const program = join(directory, 'tell');
    expect(() => checkSafeProgram(program)).toThrow(/does not exist/);
    writeFileSync(program, '', { mode: 0o700 });
    expect(() => checkSafeProgram(program)).not.toThrow();
    expect(() => checkSafeProgram(directory)).toThrow(/not a file/);
    chmodSync(program, 0o720);
    expect(() => checkSafeProgram(program)).toThrow(/others can write/);
    mkdirSync(join(directory, 'open'));
    chmodSync(join(directory, 'open'), 0o777);
    writeFileSync(join(directory, 'open/tell'), '', { mode: 0o700 });
    expect(() => checkSafeProgram(join(directory, 'open/tell'))).toThrow(/others can write to .*open/);
  });

  describe('by POST', () => {
    let server: Server;
    let taken: { type: string | undefined; body: string }[];
    let status: number;
    let url: string;
    beforeEach(async () => {
      taken = [];
      status = 204;
      server = createServer((request, response) => {
        let body = '';
        request.on('data', (piece) => {
          body += piece;
        });
        request.on('end', () => {
          taken.push({ type: request.headers['content-type'], body });
          response.writeHead(status).end();
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dumps`;
    });
    afterEach(() => new Promise((resolve) => server.close(resolve)));

    it('sends JSON, and says when it is not taken', async () => {
      await tell({ dump, notification: { when: 'boot', how: 'post', to: url } });
      expect(taken).toHaveLength(1);
      expect(taken[0]!.type).toBe('application/json');
      expect(JSON.parse(taken[0]!.body)).toMatchObject({ event: 'dump', state: 'complete' });
      status = 500;
      await expect(tell({ dump, notification: { when: 'boot', how: 'post', to: url } })).rejects.toThrow(
        /answered 500/,
      );
    });
  });
});
