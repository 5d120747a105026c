import { expect, test } from '@jest/globals';
import { loadBinding } from '../../lib/native/load.js';
import { stepTable, wall } from '../../lib/plan/steps.js';

const { steps } = loadBinding();

test('both step tables name the same steps, in the same order, with the same arguments', () => {
  const native = steps.map(({ name, signature }) => `${name} ${signature}`);
  const ours = Object.entries(stepTable).map(
    ([name, fields]) => `${name} ${fields.map(([, kind]) => kind).join('')}`,
  );
  expect(ours.length).toBeGreaterThan(40);
  expect(ours).toEqual(native);
});

test('every argument of a step has a name of its own', () => {
  for (const [name, fields] of Object.entries(stepTable)) {
    const names = fields.map(([field]) => field);
    expect([name, ...new Set(names)]).toEqual([name, ...names]);
    expect(names).not.toContain('op');
  }
});

test('every step runs on some side, and no side but these four exists', () => {
  for (const { name, sides } of steps)
    expect([name, sides !== 0 && (sides & ~15) === 0]).toEqual([name, true]);
});

test('exec needs every wall, and each wall is raised by one step of the child', () => {
  const exec = steps.find(({ name }) => name === 'exec');
  expect(exec).toMatchObject({ sides: 4, needs: 63, raises: 0 });
  const raising = steps.filter(({ raises }) => raises !== 0);
  expect(Object.fromEntries(raising.map(({ name, raises }) => [name, raises]))).toEqual({
    pivotRoot: wall.pivot,
    capset: wall.caps,
    noNewPrivs: wall.noNewPrivs,
    closeAll: wall.fds,
    seccomp: wall.seccomp,
    assert: wall.assert,
  });
  expect(raising.map(({ sides }) => sides)).toEqual(raising.map(() => 4));
});
