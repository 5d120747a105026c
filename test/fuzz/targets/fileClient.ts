import { closeSync, openSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ContainerError } from '../../../lib/errors.js';
import { FileAgent } from '../../../lib/files/agent.js';
import { FileSystem } from '../../../lib/files/fileSystem.js';
import { loadBinding } from '../../../lib/native/load.js';
import { SocketType } from '../../../lib/sys/constants.js';
import { SyscallError } from '../../../lib/sys/error.js';
import { socketpair } from '../../../lib/sys/files.js';
import { entriesSeed, eventsSeed, statSeed } from '../seeds/files.js';
import { must, target } from '../target.js';
import { mutatedBytes } from '../values.js';

/** What the agent says to a request. */
interface Answer {
  kind: number;
  /** Added to the number of the request. */
  idOff: number;
  error: number;
  last: number;
  value: number;
  data: Uint8Array;
  fds: number;
}

const answer: fc.Arbitrary<Answer> = fc.record({
  kind: fc.constantFrom(0, 0, 0, 0, 1, 7),
  idOff: fc.constantFrom(0, 0, 0, 0, 0, 1, 0xffffffff),
  error: fc.constantFrom(0, 0, 0, 2, 17, 20, 40, 4095, -1),
  last: fc.constantFrom(0, 1, 1),
  value: fc.constantFrom(0, 1, 255, 256, 0xffffffff),
  data: mutatedBytes([statSeed, entriesSeed, eventsSeed, Buffer.concat([statSeed, entriesSeed])]),
  fds: fc.constantFrom(0, 0, 1, 2),
});

const plain: Answer = {
  kind: 0,
  idOff: 0,
  error: 0,
  last: 1,
  value: 0,
  data: Buffer.alloc(0),
  fds: 0,
};

const calls = {
  stat: (fs) => fs.stat('a'),
  lstat: (fs) => fs.lstat('/a'),
  readFile: (fs) => fs.readFile('/etc/passwd', { maxBytes: 100 }),
  open: async (fs) => (await fs.open('/a')).close(),
  readdir: (fs) => fs.readdir('/', { withFileTypes: true }),
  readTree: (fs) => fs.readdir('/', { recursive: true }),
  readlink: (fs) => fs.readlink('/a'),
  realpath: (fs) => fs.realpath('/a/b'),
  statfs: (fs) => fs.statfs('/'),
  rm: (fs) => fs.rm('/a', { recursive: true, force: true }),
  mkdir: (fs) => fs.mkdir('/a/b', { recursive: true }),
  mkdtemp: (fs) => fs.mkdtemp('/tmp/x'),
  copyFile: (fs) => fs.copyFile('/a', '/b'),
  writeFile: (fs) => fs.writeFile('/a', ''),
} satisfies Record<string, (fs: FileSystem) => Promise<unknown>>;

type CallName = keyof typeof calls;

function encode(id: number, { kind, idOff, error, last, value, data }: Answer): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE((id + idOff) % 2 ** 32, 4);
  header.writeInt32LE(error, 8);
  header.writeUInt32LE(last, 12);
  header.writeUInt32LE(value, 16);
  header.writeUInt32LE(data.length, 20);
  return Buffer.concat([header, data]);
}

const descriptors = () => readdirSync('/proc/self/fd').length;

/** An agent that gives these answers, one to each request, and then ends. */
function hostileAgent(socket: number, answers: readonly Answer[]): { close(): void } {
  const left = [...answers];
  const none = openSync('/dev/null', 'r');
  const peer = new (loadBinding().MessageSocket)(
    socket,
    (request, passed) => {
      for (const fd of passed) closeSync(fd);
      const next = left.shift();
      if (next === undefined) return end();
      const fds = Array<number>(next.fds).fill(none);
      peer.send(encode(request.readUInt32LE(4), next), fds);
    },
    () => {},
    () => {},
  );
  let open = true;
  const end = () => {
    if (!open) return;
    open = false;
    peer.close();
    closeSync(none);
  };
  peer.ref();
  return { close: end };
}

async function checkCalls([names, answers]: [
  readonly CallName[],
  readonly Answer[],
]): Promise<void> {
  const before = descriptors();
  const [ours, its] = socketpair(SocketType.SOCK_SEQPACKET | SocketType.SOCK_NONBLOCK);
  const agent = new FileAgent(ours);
  const peer = hostileAgent(its, answers);
  const files = new FileSystem(agent);
  const results = names.map((name) => (calls[name] as (fs: FileSystem) => Promise<unknown>)(files));
  const given = Promise.allSettled(results);
  // An answer that nobody has asked for leaves a question open until the agent ends.
  const patience = setTimeout(() => peer.close(), 30);
  for (const outcome of await given) {
    if (outcome.status === 'fulfilled') continue;
    const error: unknown = outcome.reason;
    const typed = error instanceof SyscallError || error instanceof ContainerError;
    if (!typed && !isNodes(error)) throw error;
  }
  clearTimeout(patience);
  agent.close();
  peer.close();
  // Sockets and handles are closed by the event loop, some after what was pending on them.
  for (let look = 0; look < 100 && descriptors() > before; look++) await sleep(5);
  must(descriptors() <= before, `${descriptors() - before} descriptors left`);
}

/** What node:fs says of a descriptor that is not a file of the right kind, or of its size. */
function isNodes(error: unknown): boolean {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  return code === 'ERR_FS_FILE_TOO_LARGE' || (/^E[A-Z]+$/.test(code) && syscall !== undefined);
}

/** The client of a file agent, with an agent that answers whatever it likes. */
export const fileClientTargets = [
  target<[readonly CallName[], readonly Answer[]]>('file-client', {
    inputs: fc.tuple(
      fc.array(fc.constantFrom(...(Object.keys(calls) as CallName[])), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.array(answer, { maxLength: 25 }),
    ),
    seeds: [
      // Descriptors that nobody has asked for, or that come with an answer that is none.
      [
        ['stat', 'readlink'],
        [
          { ...plain, data: statSeed, fds: 1 },
          { ...plain, error: 2, fds: 2 },
        ],
      ],
      [
        ['open', 'readFile'],
        [
          { ...plain, fds: 1 },
          { ...plain, error: 20, fds: 1 },
        ],
      ],
      [['statfs'], [plain]],
    ],
    check: checkCalls,
  }),
];
