import { expect, test } from '@jest/globals';
import { EventHub } from '../../lib/container/events.js';

test('several reads that wait at once each get an event, in their order', async () => {
  const hub = new EventHub('it');
  const events = hub.listen();
  const reads = [events.next(), events.next()];
  hub.emit('paused', {});
  hub.emit('resumed', {});
  const types = (await Promise.all(reads)).map(({ value }) => value?.type);
  expect(types).toEqual(['paused', 'resumed']);
});

test('a read that waits ends when its reader leaves, or is aborted', async () => {
  const hub = new EventHub('it');
  const left = hub.listen();
  const read = left.next();
  await left.return?.();
  expect(await read).toEqual({ done: true, value: undefined });
  const controller = new AbortController();
  const aborted = hub.listen(controller.signal).next();
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

test('who is late finds how many were dropped', async () => {
  const hub = new EventHub('it');
  const events = hub.listen();
  for (let i = 0; i < 1030; i++) hub.emit('paused', {});
  expect((await events.next()).value).toMatchObject({ type: 'lost', count: 6 });
  expect((await events.next()).value).toMatchObject({ type: 'paused' });
});
