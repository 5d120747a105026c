import { describe, expect, test } from '@jest/globals';
import { makeDirectories } from '../../lib/files/makeDirectories.js';
import { modeBits, openFlags } from '../../lib/files/openFlags.js';
import { meansTarget, placement } from '../../lib/files/placement.js';
import type { Stats } from '../../lib/files/stats.js';
import { splitNs, timeNumbers } from '../../lib/files/time.js';

describe('where a copy goes, as docker cp has it', () => {
  const file = { source: '/a/file', isDirectory: false };
  const tree = { source: '/a/tree', isDirectory: true };

  test.each([
    [file, '/d/x', 'nothing', { parent: '/d', name: 'x' }],
    [file, 'x', 'nothing', { parent: '.', name: 'x' }],
    [file, '/d/x', 'other', { parent: '/d', name: 'x' }],
    [file, '/d', 'directory', { parent: '/d', name: 'file' }],
    [file, '/d/', 'directory', { parent: '/d/', name: 'file' }],
    [file, '/d/x/', 'nothing', undefined],
    [file, '/d/x/', 'other', undefined],
    [tree, '/d/x', 'nothing', { parent: '/d', name: 'x' }],
    [tree, '/d/x/', 'nothing', { parent: '/d', name: 'x' }],
    [tree, '/d/x', 'other', undefined],
    [tree, '/d', 'directory', { parent: '/d', name: 'tree' }],
    [{ ...tree, source: '/a/tree/' }, '/d', 'directory', { parent: '/d', name: 'tree' }],
    [{ ...tree, source: '/a/tree/.' }, '/d', 'directory', { into: '/d' }],
    [{ ...tree, source: '/' }, '/d', 'directory', { into: '/d' }],
    [{ ...tree, source: '/a/..' }, '/d', 'directory', { into: '/d' }],
    [{ ...tree, source: '/a/tree/.' }, '/d/x', 'nothing', { parent: '/d', name: 'x' }],
  ] as const)('%j to %s, where there is %s', (source, destination, found, place) => {
    expect(placement({ ...source, destination, found })).toEqual(place);
  });

  test('a slash at the end means what a link leads to', () => {
    expect(['/a', '/a.', 'a/b', '..'].map(meansTarget)).toEqual([false, false, false, false]);
    expect(['/a/', '/a/.', '/a/..', '/'].map(meansTarget)).toEqual([true, true, true, true]);
  });
});

describe('mkdir -p', () => {
  /** A file system of directories only; `files` are in the way. */
  function fake(there: string[], files: string[] = []) {
    const made: string[] = [];
    const error = (code: string) => Object.assign(new Error(code), { code });
    const mkdir = async (path: string) => {
      const all = ['/', '', ...there, ...made, ...files];
      if (all.includes(path)) throw error('EEXIST');
      const parent = path.replace(/\/*[^/]*$/, '');
      if (files.includes(parent)) throw error('ENOTDIR');
      if (!all.includes(parent)) throw error('ENOENT');
      made.push(path);
    };
    const stat = async (path: string) => ({ isDirectory: () => !files.includes(path) }) as Stats;
    return { made, calls: { mkdir, stat } };
  }

  test.each([
    ['/a/b/c', ['/a'], ['/a/b', '/a/b/c'], '/a/b'],
    ['/a/b/c///', ['/a/b'], ['/a/b/c'], '/a/b/c'],
    ['/a', ['/a'], [], undefined],
    ['/', [], [], undefined],
    ['x/y', [], ['x', 'x/y'], 'x'],
    ['x', [], ['x'], 'x'],
  ])('%s', async (path, there, expected, first) => {
    const { made, calls } = fake(there);
    expect(await makeDirectories(calls, path)).toBe(first);
    expect(made).toEqual(expected);
  });

  test.each([
    ['/f', 'EEXIST'],
    ['/f/x', 'ENOTDIR'],
  ])('a file in the way of %s', async (path, code) => {
    const { calls } = fake([], ['/f']);
    await expect(makeDirectories(calls, path)).rejects.toMatchObject({ code });
  });
});

test('times before the epoch have a part that is not negative', () => {
  expect(splitNs(-1n)).toEqual([-1n, 999_999_999n]);
  expect(splitNs(1_500_000_000n)).toEqual([1n, 500_000_000n]);
  expect(timeNumbers(1.5, new Date(-500))).toEqual([1n, 500_000_000n, -1n, 500_000_000n]);
  expect(() => timeNumbers(Number.NaN, 0)).toThrow(/seconds or a Date/);
});

test('flags and modes are node:fs’', () => {
  expect(openFlags('r')).toBe(0);
  expect(openFlags('wx')).toBe(0o1 | 0o100 | 0o200 | 0o1000);
  expect(openFlags(0o4000 | 0o400 | 2)).toBe(2);
  expect(() => openFlags('q')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
  expect([modeBits('644', 0), modeBits(0o1777, 0), modeBits(undefined, 5)]).toEqual([
    0o644, 0o1777, 5,
  ]);
  expect(() => modeBits('9', 0)).toThrow(/octal/);
});
