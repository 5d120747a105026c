import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { decodeReport, request } from '../../../lib/launcher/messages.js';
import { loadBinding } from '../../../lib/native/load.js';
import { encodePlan } from '../../../lib/plan/encode.js';
import { SocketType } from '../../../lib/sys/constants.js';
import { socketpair } from '../../../lib/sys/files.js';
import { sleepPlan, truePlan } from '../../helpers/plans.js';
import { must, target } from '../target.js';

/** The launcher under sanitizers (scripts/fuzz.sh). */
const launcher = fileURLToPath(new URL('../../../../build-fuzz/launcher', import.meta.url));
const sanitizerExit = 99;

/** For root each is a container; whoever cannot make it is told so. */
const plans = { true: encodePlan(truePlan()), sleep: encodePlan(sleepPlan()) };

/** What is written to the launcher's socket. */
interface Message {
  type: number;
  id: number;
  arg: number;
  /** What the header says of the body. */
  size: number;
  body: Uint8Array;
  fds: number;
  /** A plan that can be carried out, in place of the body. */
  plan?: keyof typeof plans;
  /** Bytes that the message lacks at its end. */
  cut: number;
}

const word = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 7, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.nat(100),
);
const noise: fc.Arbitrary<Message> = fc
  .record({
    type: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...Object.values(request)) },
      { weight: 1, arbitrary: word },
    ),
    id: word,
    arg: word,
    size: fc.option(word),
    body: fc.uint8Array({ maxLength: 200 }),
    fds: fc.oneof(fc.nat(8), fc.constantFrom(0, 0, 63, 64, 65)),
    cut: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 8),
  })
  .map(({ size, ...rest }) => ({ ...rest, size: size ?? rest.body.length }));

const plain = { id: 1, arg: 0, size: 0, body: new Uint8Array(), fds: 0, cut: 0 };

/** Mostly right: one of the first ids, so that containers are made and others are asked of them. */
const launches: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(request.launch, request.launch, request.exec, request.release),
  id: fc.constantFrom(1, 2, 3),
  arg: fc.constantFrom(0, 0, 1, 2),
  size: fc.constantFrom(0),
  body: fc.constant(plain.body),
  plan: fc.constantFrom('true', 'sleep'),
  fds: fc.constantFrom(3, 3, 3, 2, 4),
  cut: fc.constantFrom(0, 0, 0, 0, 1),
});
const asks: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(request.signal, request.kill, request.detach, request.feed),
  id: fc.constantFrom(1, 2, 3),
  arg: fc.constantFrom(0, 1, 9, 15),
  size: fc.constantFrom(0, 16),
  body: fc.constant(new Uint8Array(16)),
  fds: fc.constantFrom(0, 1, 4),
  cut: fc.constant(0),
});
const message = fc.oneof(noise, launches, asks);
/** Without it there is no container. */
const home: Message = { ...plain, type: request.makeHome };
const seeds: Message[][] = [
  [
    { ...plain, type: request.makeHome },
    { ...plain, type: request.launch, plan: 'true', fds: 3 },
    { ...plain, type: request.launch, id: 2, plan: 'sleep', fds: 3 },
    { ...plain, type: request.exec, id: 3, arg: 2, plan: 'true', fds: 3 },
    { ...plain, type: request.signal, id: 2, arg: 15 },
    { ...plain, type: request.kill, id: 2 },
  ],
  [
    { ...plain, type: request.makeHome },
    { ...plain, type: request.hello },
  ],
  [
    { ...plain, type: request.makeHome },
    { ...plain, type: request.makeHome },
  ],
  [{ ...plain, type: request.detach, fds: 4, size: 16, body: new Uint8Array(16) }],
  [{ ...plain, type: request.launch, size: 72, body: new Uint8Array(72), fds: 3 }],
  [
    { ...plain, type: request.exec, arg: 1, size: 100 },
    { ...plain, type: request.kill },
  ],
  [
    { ...plain, type: request.feed },
    { ...plain, type: request.signal, arg: 9 },
  ],
];

/** Nothing else is a plan: magic and version are not what the reader asks for. */
function encode({ type, id, arg, size, body, plan, cut }: Message): Buffer {
  const header = Buffer.alloc(16);
  const said = plan === undefined ? size : plans[plan].length;
  for (const [i, value] of [type, id, arg, said].entries())
    header.writeUInt32LE(value >>> 0, 4 * i);
  const rest = Buffer.from(plan === undefined ? body : plans[plan]);
  if (plan === undefined && rest.length > 0) rest[0] = 0;
  const bytes = Buffer.concat([header, rest]);
  return bytes.subarray(0, Math.max(1, bytes.length - cut));
}

/** A launcher that hears all this answers in reports, and ends by itself when we are gone. */
async function checkConversation(messages: readonly Message[]): Promise<void> {
  must(existsSync(launcher), `${launcher} is not there: scripts/fuzz.sh builds it`);
  const { SOCK_SEQPACKET } = SocketType;
  const [ours, its] = socketpair(SOCK_SEQPACKET);
  const none = openSync('/dev/null', 'r');
  const child = spawn(launcher, [], {
    stdio: ['ignore', 'ignore', 'pipe', its],
    env: {
      ASAN_OPTIONS: `exitcode=${sanitizerExit}:detect_leaks=0`,
      UBSAN_OPTIONS: `exitcode=${sanitizerExit}`,
    },
  });
  closeSync(its);
  let words = '';
  child.stderr?.on('data', (text) => {
    words += text;
  });
  const exit = new Promise<[number | null, string | null]>((resolve) => {
    child.once('close', (code, signal) => resolve([code, signal]));
  });
  const wrong: Buffer[] = [];
  const answered = new Promise<void>((resolve) => {
    const socket = new (loadBinding().MessageSocket)(
      ours,
      (report, fds) => {
        const said = decodeReport(report);
        // What the sanitizers find in a child is its exit status.
        if (said === undefined || said.status === sanitizerExit << 8) wrong.push(report);
        for (const fd of fds) closeSync(fd);
        if (report.readUInt32LE(4) === lastId) finish();
      },
      () => {},
      () => finish(),
    );
    const finish = () => {
      socket.close();
      resolve();
    };
    try {
      for (const each of messages) socket.send(encode(each), Array(each.fds).fill(none));
      const last = { ...plain, type: request.hello, id: lastId };
      if (!socket.send(encode(last), [])) finish();
    } catch {
      // It has hung up after something malformed.
      finish();
    }
    socket.ref();
  });
  await answered;
  const [code, signal] = await exit;
  closeSync(none);
  must(wrong.length === 0, 'reports');
  must(signal === null && (code === 0 || code === 1 || code === 71), `${code} ${signal}: ${words}`);
}

const lastId = 0xabcdef;

/** The launcher's socket, with a launcher behind it. */
export const protocolTargets = [
  target<readonly Message[]>('launcher-protocol', {
    inputs: fc
      .tuple(fc.integer({ min: 0, max: 3 }), fc.array(message, { maxLength: 20 }))
      .map(([chance, messages]) => (chance === 0 ? messages : [home, ...messages])),
    seeds,
    check: checkConversation,
  }),
];
