// A sandbox for an agent: it writes and reads files and runs commands in one container. Its
// workspace is a directory that outlives the container; every command has limits of its own, and
// whatever it does comes back as text that the agent can read.
//   node dist/examples/agent-sandbox.js [workspace]
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { type Container, createContainer, defaultPath } from 'ringfort';

/** What a model asks for: one call of a tool. */
export type Action =
  | { tool: 'write'; path: string; text: string }
  | { tool: 'read'; path: string }
  | { tool: 'run'; script: string; timeout?: number };

/** Bytes of a file or of a command's output that go into the agent's context. */
const maxText = 2048;

/** One agent's container. */
export class Sandbox implements AsyncDisposable {
  private constructor(private readonly box: Container) {}

  /** @param workspace directory of the host; what the agent leaves in it stays */
  static async open(workspace: string): Promise<Sandbox> {
    mkdirSync(workspace, { recursive: true });
    const box = await createContainer({
      mounts: [{ type: 'bind', source: workspace, destination: '/work', options: ['rw'] }],
      env: { PATH: defaultPath, HOME: '/work' },
      cwd: '/work',
      // For all that it runs together, whatever a command leaves in the background included.
      limits: { memory: '256MiB', pids: 128, cpus: 1 },
    });
    return new Sandbox(box);
  }

  /** Carries out an action. A refusal is an answer, too: the agent shall see it and go on. */
  async act(action: Action): Promise<string> {
    try {
      switch (action.tool) {
        case 'write':
          await this.box.fs.writeFile(this.#inside(action.path), action.text);
          return `wrote ${Buffer.byteLength(action.text)} bytes`;
        case 'read':
          return await this.box.fs.readFile(this.#inside(action.path), {
            encoding: 'utf8',
            maxBytes: maxText,
          });
        case 'run':
          return await this.#run(action.script, action.timeout ?? 5_000);
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return `refused: ${code ?? message}`;
    }
  }

  async #run(script: string, timeout: number): Promise<string> {
    const { stdout, stderr, reason, exitCode, truncated } = await this.box.shell(script, {
      timeout,
      forceKillAfterDelay: 200,
      limits: { memory: '64MiB', pids: 32 },
      maxBuffer: maxText,
      maxBufferAction: 'kill',
    });
    const cut = truncated.stdout || truncated.stderr ? '\n[cut]' : '';
    const end = reason === 'exit' ? `[exit ${exitCode}]` : `[stopped: ${reason}]`;
    return `${(stdout + stderr).trimEnd()}${cut}\n${end}`.trim();
  }

  /**
   * Paths are the container's: box.fs resolves them in there, so a link that the agent has planted
   * leads to a file of the container, never to one of the host.
   */
  #inside(path: string): string {
    return posix.resolve('/work', path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.box[Symbol.asyncDispose]();
  }
}

const primes = `import sys
n = int(sys.argv[1])
found = [i for i in range(2, n) if all(i % k for k in range(2, int(i ** 0.5) + 1))]
open('primes.txt', 'w').write(' '.join(map(str, found)))
print(len(found), 'primes below', n)
`;

/** What a model could have asked for; in an application this comes from its API, one by one. */
const session: Action[] = [
  { tool: 'write', path: 'primes.py', text: primes },
  { tool: 'run', script: 'python3 primes.py 30' },
  { tool: 'read', path: 'primes.txt' },
  { tool: 'read', path: 'no-such-file' },
  { tool: 'run', script: 'python3 primes.py many' },
  { tool: 'run', script: 'sleep 600', timeout: 1000 },
  { tool: 'run', script: `python3 -c 'x = bytearray(200 << 20)'` },
  { tool: 'run', script: 'yes' },
  { tool: 'run', script: 'for i in $(seq 100); do sleep 600 & done' },
  {
    tool: 'run',
    script: `python3 -c 'import socket; socket.create_connection(("1.1.1.1", 53), 1)'`,
  },
  { tool: 'run', script: 'ln -s /etc/shadow notes.txt' },
  { tool: 'read', path: 'notes.txt' },
  { tool: 'read', path: '../../proc/1/environ' },
  { tool: 'run', script: 'echo still here; ls' },
];

const workspace = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'agent-'));
console.log(`workspace ${workspace}`);

/** For the eye; the agent has all of it. */
function shortened(text: string): string {
  const lines = text.split('\n');
  return lines.length <= 8 ? text : [...lines.slice(0, 3), '…', ...lines.slice(-2)].join('\n');
}

async function play(actions: Action[]): Promise<void> {
  await using sandbox = await Sandbox.open(workspace);
  for (const action of actions) {
    const asked = action.tool === 'run' ? action.script : action.path;
    console.log(`\n> ${action.tool} ${asked}`);
    console.log(shortened(await sandbox.act(action)).replace(/^/gm, '  '));
  }
}

await play(session);
console.log('\nanother container, the same workspace');
await play([{ tool: 'run', script: 'cat primes.txt' }]);
