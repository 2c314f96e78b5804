import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type ExecDoors, execute, jumpNow, rebootIntoLoaded } from '../../src/kexec/exec.ts';
import type { CallResult } from '../../src/system/kexec.ts';
import { failed, ok } from './fake-kernel.ts';
import { errorOf, machineOf } from './fixtures.ts';

const { EINVAL, EPERM, ENETDOWN } = constants.errno;

/** A machine that writes down what is done to it, and that no call leaves. */
function fakeMachine({
  loaded = true as boolean | null,
  capSysBoot = true,
  serviceManager = false,
  interfaces = ['eth0', 'eth1', 'vlan7'],
  refuses = {} as Record<string, CallResult>,
  reboot = failed(EINVAL),
} = {}): ExecDoors & { done: string[] } {
  const machine = machineOf('vm-512m');
  const done: string[] = [];
  return {
    done,
    readMachine: () => ({
      ...machine,
      loaded: { ...machine.loaded, normal: loaded },
      permission: { ...machine.permission, capSysBoot },
    }),
    hasServiceManager: () => serviceManager,
    systemctlKexec: () => done.push('systemctl kexec'),
    shutdownForReboot: () => done.push('shutdown -r now'),
    sync: () => done.push('sync'),
    interfacesUp: () => interfaces,
    setInterfaceUp: (name, up) => {
      const what = `${name} ${up ? 'up' : 'down'}`;
      const result = refuses[what] ?? ok;
      done.push(result.ok ? what : `${what} refused`);
      return result;
    },
    reboot: () => {
      done.push('reboot');
      return reboot;
    },
  };
}
const both = { sync: true, interfaces: true };

describe('jumping at once', () => {
  test('interfaces go down last, and come up again when it is refused', () => {
    const machine = fakeMachine();
    const error = errorOf(() => jumpNow(both, machine));
    expect(machine.done).toEqual([
      'sync',
      'vlan7 down',
      'eth1 down',
      'eth0 down',
      'reboot',
      'eth0 up',
      'eth1 up',
      'vlan7 up',
    ]);
    expect(error).toMatchObject({
      code: 'exec-failed',
      exitCode: 1,
      facts: { errno: 'EINVAL', notRestored: '' },
    });
    expect(error.message).toMatch(/EINVAL: nothing is loaded.*vlan7, eth1, eth0 taken down and set up again/);
  });
  test('what did not go down is not set up, what does not come up is named', () => {
    const refuses = { 'eth1 down': failed(EPERM), 'eth0 up': failed(ENETDOWN) };
    const machine = fakeMachine({ refuses });
    const error = errorOf(() => jumpNow(both, machine));
    expect(machine.done).not.toContain('eth1 up');
    expect(error.message).toMatch(/vlan7 taken down and set up again.*; eth0 could not be set up again/);
    expect(error.facts).toMatchObject({ interfaces: 'vlan7 eth0', notRestored: 'eth0' });
  });
  test('they come up again whatever happens', () => {
    const machine = fakeMachine();
    const broken = {
      ...machine,
      reboot: () => {
        throw new TypeError('a defect');
      },
    };
    expect(() => jumpNow(both, broken)).toThrow(TypeError);
    expect(machine.done.slice(-3)).toEqual(['eth0 up', 'eth1 up', 'vlan7 up']);
  });
  test.each([
    [{ sync: false, interfaces: true }, ['vlan7 down']],
    [{ sync: true, interfaces: false }, ['sync']],
    [{ sync: false, interfaces: false }, ['reboot']],
  ])('%o', (options, first) => {
    const machine = fakeMachine();
    errorOf(() => jumpNow(options, machine));
    expect(machine.done.slice(0, 1)).toEqual(first);
  });
});

describe('nothing is touched', () => {
  test.each([
    [{ loaded: false }, 'nothing-loaded', 'Nothing has been loaded!'],
    // A kernel without kexec says nothing at all: that is not "loaded".
    [{ loaded: null }, 'nothing-loaded', /kexec_loaded cannot be read/],
    [{ capSysBoot: false }, 'no-permission', /CAP_SYS_BOOT/],
  ])('%o', (how, code, message) => {
    for (const serviceManager of [true, false])
      for (const act of [execute.bind(null, both), jumpNow.bind(null, both), rebootIntoLoaded]) {
        const machine = fakeMachine({ ...how, serviceManager });
        const error = errorOf(() => act(machine));
        expect(error.code).toBe(code);
        expect(error.exitCode).toBe(1);
        if (typeof message === 'string') expect(error.message).toBe(message);
        else expect(error.message).toMatch(message);
        expect(machine.done).toEqual([]);
      }
  });
});

describe('the service manager', () => {
  test('is asked first, and nothing else is done', () => {
    for (const act of [execute.bind(null, both), rebootIntoLoaded]) {
      const machine = fakeMachine({ serviceManager: true });
      act(machine);
      expect(machine.done).toEqual(['systemctl kexec']);
    }
  });
  test('where there is none -e jumps, and a load reboots', () => {
    const machine = fakeMachine();
    errorOf(() => execute({ sync: true, interfaces: false }, machine));
    expect(machine.done).toEqual(['sync', 'reboot']);
    const other = fakeMachine();
    rebootIntoLoaded(other);
    expect(other.done).toEqual(['shutdown -r now']);
  });
  test('-e --now does not ask it', () => {
    const machine = fakeMachine({ serviceManager: true });
    errorOf(() => jumpNow({ sync: false, interfaces: false }, machine));
    expect(machine.done).toEqual(['reboot']);
  });
});
