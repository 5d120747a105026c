// A host of plug-ins that it does not trust: each runs in a container of its own, is spoken to in
// JSON-RPC over its stdin and stdout, and sees its own directory, read-only, and nothing else. What
// a plug-in does wrong ends that plug-in, and the host can say why.
//   node dist/examples/plugin-host/host.js
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Container, createContainer } from 'ringfort';
import { Peer } from './peer.js';

const answerWithin = 5_000;

/** A plug-in that runs. */
export class Plugin implements AsyncDisposable {
  #why: Error | undefined;
  readonly #peer: Peer;

  private constructor(
    readonly name: string,
    readonly box: Container,
  ) {
    const { stdin, stdout, stderr } = box.main ?? {};
    if (!stdin || !stdout || !stderr) throw new Error('the plug-in has no streams');
    // Its complaints are not ours to print: read, so that it does not wait, and dropped.
    stderr.resume();
    this.#peer = new Peer(stdout, stdin, { log: this.#log }, (why) => this.#end(why));
    box.wait().then(
      ({ reason, exitCode }) => this.#over(reason === 'exit' ? `exit code ${exitCode}` : reason),
      ({ message }) => this.#over(message),
    );
  }

  /**
   * @param file a module of the host
   * @param args for it
   */
  static async load(file: string, args: readonly string[] = []): Promise<Plugin> {
    const name = basename(file);
    const box = await createContainer({
      command: ['/usr/bin/node', `/plugin/${name}`, ...args],
      stdio: 'pipe',
      mounts: [`${dirname(file)}:/plugin:ro`],
      limits: { memory: '128MiB', pids: 32, cpus: 1 },
    });
    return new Plugin([name, ...args].join(' '), box);
  }

  /** The only thing of ours that it may call. Its words are shown as data: no control characters. */
  readonly #log = (params: unknown) => {
    console.log(`  ${this.name} says ${JSON.stringify(params).slice(0, 200)}`);
  };

  /** Its container has ended: whoever waits for an answer hears the first reason that there was. */
  #over(how: string): void {
    this.#why ??= new Error(how);
    this.#peer.close(this.#why);
  }

  #end(why: Error): void {
    this.#why ??= why;
    this.box.kill();
  }

  /** @throws Error that says why there is no answer */
  async call(method: string, params: unknown): Promise<unknown> {
    const late = setTimeout(
      () => this.#end(new Error(`no answer within ${answerWithin} ms`)),
      answerWithin,
    );
    try {
      return await this.#peer.call(method, params);
    } finally {
      clearTimeout(late);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.box[Symbol.asyncDispose]();
  }
}

const plugins = fileURLToPath(new URL('../../../examples/plugin-host/plugins/', import.meta.url));

async function show(file: string, ...args: string[]): Promise<void> {
  await using plugin = await Plugin.load(plugins + file, args);
  try {
    const answer = await plugin.call('transform', { text: 'hello' });
    console.log(`${plugin.name}: ${JSON.stringify(answer)}`);
  } catch (error) {
    console.log(`${plugin.name}: no result: ${(error as Error).message}`);
  }
}

await show('shout.mjs');
for (const way of [
  'spy',
  'refuse',
  'exit',
  'hang',
  'memory',
  'fork',
  'flood',
  'chatter',
  'forge',
  'garbage',
])
  await show('hostile.mjs', way);
// All of that was survived.
await show('shout.mjs');
