import { describe, expect, test } from '@jest/globals';
import { deviceProgram } from '../../lib/cgroups/deviceProgram.js';
import { devicePolicy, deviceWrites } from '../../lib/cgroups/deviceRules.js';
import type { SpecDeviceRule } from '../../lib/spec/types.js';

const denyAll: SpecDeviceRule = { allow: false, access: 'rwm' };

/** Runs the few instructions that device programs are made of, as the kernel would. */
function evaluate(program: Uint8Array, access: number, type: number, major: number, minor: number) {
  const view = new DataView(program.buffer);
  const context = [(access << 16) | type, major, minor];
  const registers = new Uint32Array(11);
  for (let at = 0, steps = 0; steps < 10_000; at++, steps++) {
    const code = view.getUint8(at * 8);
    const destination = view.getUint8(at * 8 + 1) & 15;
    const source = view.getUint8(at * 8 + 1) >> 4;
    const offset = view.getInt16(at * 8 + 2, true);
    const constant = view.getUint32(at * 8 + 4, true);
    const value = registers[destination] ?? 0;
    if (code === 0x61) registers[destination] = context[offset / 4] ?? Number.NaN;
    else if (code === 0x54) registers[destination] = value & constant;
    else if (code === 0x74) registers[destination] = value >>> constant;
    else if (code === 0xbc) registers[destination] = registers[source] ?? 0;
    else if (code === 0xb4) registers[destination] = constant;
    else if (code === 0x16) at += value === constant ? offset : 0;
    else if (code === 0x56) at += value !== constant ? offset : 0;
    else if (code === 0x95) return registers[0];
    else throw new Error(`unknown opcode ${code.toString(16)} at ${at}`);
  }
  throw new Error('no end');
}

const bits: Record<string, number> = { m: 1, r: 2, w: 4 };

function allowed(rules: SpecDeviceRule[], access: string, device: string): boolean {
  const [, type, major, minor] = /^([bc]) (\d+):(\d+)$/.exec(device) ?? [];
  const mask = [...access].reduce((sum, letter) => sum | (bits[letter] ?? 0), 0);
  const program = deviceProgram(devicePolicy(rules));
  return evaluate(program, mask, type === 'b' ? 1 : 2, Number(major), Number(minor)) === 1;
}

describe('deviceProgram', () => {
  test('everything denied: only the standard devices, and not to be made', () => {
    expect(allowed([denyAll], 'rw', 'c 1:3')).toBe(true);
    expect(allowed([denyAll], 'r', 'c 136:77')).toBe(true);
    expect(allowed([denyAll], 'm', 'c 1:3')).toBe(false);
    expect(allowed([denyAll], 'r', 'c 1:1')).toBe(false);
    expect(allowed([denyAll], 'r', 'b 1:3')).toBe(false);
  });

  test('an exception grants its own access and no more', () => {
    const rules = [denyAll, { allow: true, type: 'b' as const, major: 8, minor: 0, access: 'r' }];
    expect(allowed(rules, 'r', 'b 8:0')).toBe(true);
    expect(allowed(rules, 'rw', 'b 8:0')).toBe(false);
    expect(allowed(rules, 'r', 'b 8:1')).toBe(false);
    expect(allowed(rules, 'r', 'c 8:0')).toBe(false);
  });

  test('no numbers, or -1, stand for all', () => {
    const rules = [
      denyAll,
      { allow: true, type: 'c' as const, major: 10, minor: -1, access: 'rwm' },
    ];
    expect(allowed(rules, 'rwm', 'c 10:200')).toBe(true);
    expect(allowed(rules, 'rwm', 'c 11:200')).toBe(false);
  });

  test('where everything is allowed, an exception denies whatever it shares', () => {
    const rules = [{ allow: false, type: 'c' as const, major: 1, minor: 1, access: 'w' }];
    expect(allowed(rules, 'rw', 'c 1:1')).toBe(false);
    expect(allowed(rules, 'r', 'c 1:1')).toBe(true);
    expect(allowed(rules, 'w', 'c 1:2')).toBe(true);
  });

  test('large numbers are compared in 32 bits', () => {
    const rules = [denyAll, { allow: true, type: 'b' as const, major: 4095, minor: 1048575 }];
    expect(allowed(rules, 'rwm', 'b 4095:1048575')).toBe(true);
  });

  test('every exception of a long list is reached', () => {
    const list = Array.from({ length: 200 }, (_, minor) => ({
      allow: true,
      type: 'c' as const,
      major: 500,
      minor,
    }));
    expect(allowed([denyAll, ...list], 'rw', 'c 500:199')).toBe(true);
    expect(allowed([denyAll, ...list], 'rw', 'c 500:200')).toBe(false);
  });
});

describe('devicePolicy', () => {
  test('a rule for all forgets what came before', () => {
    const rules: SpecDeviceRule[] = [
      { allow: true, type: 'c', major: 9 },
      { allow: true, type: 'a' },
    ];
    expect(devicePolicy(rules)).toEqual({ allow: true, exceptions: [] });
  });

  test('type a with one access is a rule for both kinds', () => {
    expect(devicePolicy([{ allow: false, access: 'm' }]).exceptions).toEqual([
      { type: 'b', access: 'm' },
      { type: 'c', access: 'm' },
    ]);
  });

  test('an exception can be taken back, in part', () => {
    const rules: SpecDeviceRule[] = [
      denyAll,
      { allow: true, type: 'b', major: 8, minor: 0, access: 'rw' },
      { allow: false, type: 'b', major: 8, access: 'w' },
    ];
    expect(devicePolicy(rules).exceptions.at(-1)).toEqual({
      type: 'b',
      major: 8,
      minor: 0,
      access: 'r',
    });
  });

  test('a hole in a wider exception is refused, because v1 would not make it', () => {
    const rules: SpecDeviceRule[] = [
      denyAll,
      { allow: true, type: 'b', major: 8 },
      { allow: false, type: 'b', major: 8, minor: 0 },
    ];
    expect(() => devicePolicy(rules)).toThrow(
      'linux.resources.devices[2]: expected a rule as wide',
    );
  });

  test('v1 writes', () => {
    const writes = deviceWrites(devicePolicy([denyAll, { allow: true, type: 'b', access: 'm' }]));
    expect(writes[0]).toEqual({ file: 'devices.deny', data: 'a' });
    expect(writes).toContainEqual({ file: 'devices.allow', data: 'c 1:3 rw' });
    expect(writes).toContainEqual({ file: 'devices.allow', data: 'c 136:* rw' });
    expect(writes.at(-1)).toEqual({ file: 'devices.allow', data: 'b *:* m' });
  });
});
