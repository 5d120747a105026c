import { closeSync, writeSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { decodeReport, reportType, request } from '../../lib/launcher/messages.js';
import { loadBinding } from '../../lib/native/load.js';
import { SocketType, socketpair } from '../../lib/sys/index.js';
import { hasEnded } from '../helpers/launches.js';
import { linux, suite } from '../helpers/needs.js';

const { Channel, MessageSocket } = loadBinding();
const nothing = () => {};

// More than are read in one turn of the event loop.
const many = 200;
const numbers = Array.from({ length: many }, (_, i) => i);

suite('what a dead peer has said is read to its end', [linux], () => {
  test('also where it has died with something unread, which ECONNRESET tells first', async () => {
    const [ours, theirs] = socketpair(SocketType.SOCK_SEQPACKET);
    const said: string[] = [];
    const ended = new Promise<void>((resolve) => {
      const onMessage = (message: Buffer) => said.push(String(message));
      const socket = new MessageSocket(ours, onMessage, nothing, () => {
        socket.close();
        resolve();
      });
      socket.ref();
      socket.send(Buffer.from('unread'), []);
    });
    for (const number of numbers) writeSync(theirs, String(number));
    closeSync(theirs);
    await ended;
    expect(said).toEqual(numbers.map(String));
  });

  test('a launcher’s reports, whose end is seen first', async () => {
    const said: number[] = [];
    await new Promise<void>((resolve) => {
      const onMessage = (message: Buffer) => {
        const report = decodeReport(message);
        if (report?.type === reportType.ready) said.push(report.id);
      };
      const channel = new Channel('', -1, -1, onMessage, nothing, resolve);
      channel.ref();
      for (const number of numbers) {
        // There may be no room while it does not come to its turn.
        while (!channel.send(request.hello, number, 0, undefined, []));
      }
      const unknown = 77;
      while (!channel.send(unknown, 0, 0, undefined, []));
      // The event loop finds it dead, and all of its reports unread.
      while (!hasEnded(channel.pid));
    });
    expect(said).toEqual(numbers);
  });
});
