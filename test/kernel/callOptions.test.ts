import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Container, createContainer } from '../../lib/index.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

type Call = (box: Container, options: never) => unknown;

const calls: [name: string, misspelt: object, call: Call][] = [
  ['stop', { timeot: 1 }, (box, options) => box.stop(options)],
  ['wait', { timeout: 1 }, (box, options) => box.wait(options as object)],
  ['stats', { intervall: 1 }, (box, options) => box.stats(options)],
  ['events', { signl: 1 }, (box, options) => box.events(options)],
  ['pause', { signl: 1 }, (box, options) => box.pause(options)],
  ['resume', { signl: 1 }, (box, options) => box.resume(options)],
  ['logs', { folow: true }, (box, options) => box.logs(options)],
  ['attach', { stdn: true }, (box, options) => box.attach(options)],
  ['remove', { forse: true }, (box, options) => box.remove(options)],
  ['rollback', { signl: 1 }, (box, options) => box.rollback(null as never, options)],
  ['diff', { signl: 1 }, (box, options) => box.diff(options).next()],
  ['Container.list', { alll: true }, (_, options) => Container.list(options)],
  ['Container.remove', { forse: true }, (_, options) => Container.remove('nonesuch', options)],
];

suite('options of calls', [linux, cgroups], () => {
  let box: Container;
  beforeAll(async () => {
    box = await createContainer();
  });
  afterAll(() => box[Symbol.asyncDispose]());

  test.each(calls)('%s refuses what is misspelt', async (_, misspelt, call) => {
    const [name = ''] = Object.keys(misspelt);
    const refused = { code: 'ERR_INVALID_OPTION', option: name };
    await expect((async () => call(box, misspelt as never))()).rejects.toMatchObject(refused);
    expect(box.state).toBe('running');
  });

  test('what is undefined has not been said', async () => {
    await box.pause({ signal: undefined });
    await box.resume({ signal: undefined });
    await Container.list({ all: undefined, labels: undefined });
  });
});
