import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Container, type CreateOptions, createContainer } from '../../lib/index.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, residentBytes, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';

/** The two ways that a program gets into a container. */
const styles: [string, CreateOptions][] = [
  ['by the init', {}],
  ['by joining', { command: ['sleep', '600'] }],
];

const prints = (id: string) =>
  `i=0; while [ $i -lt 1000 ]; do echo ${id}; echo ${id} >&2; i=$((i+1)); done`;

suite('containers beside each other', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  describe.each(styles)('%s', (_, style) => {
    let flooding: Container;
    let boxes: Container[];
    beforeAll(async () => {
      flooding = await createContainer(style);
      boxes = await Promise.all(Array.from({ length: 20 }, () => createContainer(style)));
    });
    afterAll(async () => {
      await Promise.all([flooding, ...boxes].map((box) => box[Symbol.asyncDispose]()));
    });

    test('floods that nobody reads, in pipes and a terminal: the others flow, memory is flat', async () => {
      const floods = [
        flooding.spawn('sh', ['-c', 'yes 0123456789 >&2 & yes 0123456789']),
        flooding.spawn('yes', [], { pty: { cols: 80, rows: 24 } }),
        flooding.spawn('yes'),
      ];
      await until(() => floods.every(({ pid }) => pid !== undefined));
      const round = () =>
        Promise.all(boxes.map((box) => box.exec('echo', [box.id]).then(({ stdout }) => stdout)));
      const ids = boxes.map(({ id }) => `${id}\n`);
      expect(await round()).toEqual(ids);
      const resident = residentBytes();
      for (let i = 0; i < 10; i++) expect(await round()).toEqual(ids);
      expect(residentBytes() - resident).toBeLessThan(32 << 20);
      // Each holds what its buffers hold, and waits.
      for (const { stdout } of floods) expect(stdout?.readableLength).toBeLessThan(1 << 20);
      expect((await flooding.exec('echo', ['here', 'too'])).stdout).toBe('here too\n');
      await Promise.all(floods.map((each) => each[Symbol.asyncDispose]()));
    });

    test('a flood that is read and thrown away: the others flow, memory is flat', async () => {
      const flood = flooding.spawn('yes', ['0123456789'.repeat(10)]);
      let bytes = 0;
      flood.stdout?.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      await until(() => bytes > 64 << 20);
      const resident = residentBytes();
      for (const box of boxes)
        expect((await box.exec('echo', [box.id])).stdout).toBe(`${box.id}\n`);
      await until(() => bytes > 256 << 20);
      expect(residentBytes() - resident).toBeLessThan(64 << 20);
      await flood[Symbol.asyncDispose]();
    });

    test('what 40 programs print at once, in 20 containers, is never mixed up', async () => {
      const programs = boxes.flatMap((box) => [
        { box, name: `${box.id}-a` },
        { box, name: `${box.id}-b` },
      ]);
      const results = await Promise.all(
        programs.map(({ box, name }) => box.exec('sh', ['-c', prints(name)])),
      );
      for (const [i, { name }] of programs.entries()) {
        expect(results[i]?.stdout).toBe(`${name}\n`.repeat(1000));
        expect(results[i]?.stderr).toBe(`${name}\n`.repeat(1000));
      }
    });

    test('nor is what terminals print, nor what is fed back', async () => {
      const [a, b, c] = boxes as [Container, Container, Container];
      const pty = { cols: 80, rows: 24 };
      const typed = [a, a, b, b, c, c].map((box, i) => ({ box, name: `${box.id}-${i}` }));
      const printed = await Promise.all(
        typed.map(({ box, name }) => box.exec('sh', ['-c', prints(name)], { pty })),
      );
      expect(printed.map(({ stdout }) => stdout)).toEqual(
        typed.map(({ name }) => `${name}\r\n`.repeat(2000)),
      );
      const fed = await Promise.all(
        typed.map(({ box, name }) => box.exec('cat', [], { input: `${name}\n`.repeat(20_000) })),
      );
      for (const [i, { name }] of typed.entries())
        expect(fed[i]?.stdout === `${name}\n`.repeat(20_000)).toBe(true);
    });
  });
});
