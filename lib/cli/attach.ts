import type { Readable, Writable } from 'node:stream';
import { Command, Option } from 'commander';
import { type Attachment, type Container, ContainerError } from '../index.js';
import { action, withContainer } from './containers.js';
import { DetachFilter, defaultDetachKeys, parseDetachKeys } from './detachKeys.js';
import { UsageError } from './errors.js';
import { codeOfSignal } from './exitCode.js';
import { codeOfExit } from './lifeCommands.js';
import { print } from './output.js';
import { onSignals } from './signals.js';

interface AttachFlags {
  stdin: boolean;
  sigProxy?: string;
  detachKeys: Buffer;
}

/** Its streams, with its stdin where it has one that is wanted. */
async function open(box: Container, stdin: boolean): Promise<Attachment> {
  try {
    return await box.attach({ stdin });
  } catch (error) {
    if (!(error instanceof ContainerError && error.code === 'ERR_NO_STDIN')) throw error;
    return box.attach();
  }
}

/** Copies to the end; a slow reader of ours slows only the copy. */
async function copy(from: Readable | null, to: Writable): Promise<void> {
  if (from === null) return;
  try {
    for await (const chunk of from) await print(chunk, to);
  } catch (error) {
    // Its own end, by `close`.
    if ((error as NodeJS.ErrnoException).code !== 'ABORT_ERR' && !from.destroyed) throw error;
  }
}

/** Tells the program's terminal how large ours is, now and later. */
function followWindow({ resize }: Attachment): () => void {
  const { stdout } = process;
  if (!stdout.isTTY) return () => {};
  const tell = () => {
    const { rows, columns: cols } = stdout;
    if (rows > 0 && cols > 0) resize({ rows, cols });
  };
  // As docker: a program that draws does so again only when its size changes.
  if (stdout.rows > 1) resize({ rows: stdout.rows - 1, cols: stdout.columns });
  tell();
  stdout.on('resize', tell);
  return () => stdout.off('resize', tell);
}

/** Gives what is typed to the program. Resolves when the keys have come that detach. */
function typing(attachment: Attachment, terminal: boolean, keys: Buffer) {
  const { stdin } = process;
  const filter = new DetachFilter(keys);
  const raw = terminal && stdin.isTTY;
  const restore = () => {
    if (raw) stdin.setRawMode(false);
  };
  let leave = () => {};
  const detached = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const take = (chunk: Buffer) => {
    const { data, detached: left } = raw ? filter.take(chunk) : { data: chunk, detached: false };
    if (attachment.stdin?.write(data) === false) {
      stdin.pause();
      attachment.stdin.once('drain', () => stdin.resume());
    }
    if (left) leave();
  };
  if (raw) {
    process.on('exit', restore);
    stdin.setRawMode(true);
  }
  stdin.on('data', take);
  const end = () => {
    stdin.off('data', take);
    stdin.pause();
    // What has just come may have it read on, which must not keep this process.
    if ('unref' in stdin) stdin.unref();
    restore();
    process.off('exit', restore);
  };
  return { detached, end };
}

/** A signal is the program's; when the monitor has let go of us, ours. */
function pass(box: Container, signal: NodeJS.Signals): void {
  try {
    box.kill(signal);
  } catch {
    process.exit(codeOfSignal(signal));
  }
}

async function attachTo(box: Container, flags: AttachFlags): Promise<number> {
  if (box.inspect().command === undefined)
    throw new UsageError(`container ${box.id} has no program to attach to; use \`ringfort exec\``);
  const attachment = await open(box, flags.stdin);
  const terminal = attachment.stderr === null;
  const undo: (() => void)[] = [() => attachment.close()];
  try {
    // As docker: without a terminal they are the program's, else we go, and leave it running. The
    // exit puts the terminal's mode back.
    if (!terminal && flags.sigProxy !== 'false')
      undo.push(onSignals((signal) => pass(box, signal)));
    else undo.push(onSignals((signal) => process.exit(codeOfSignal(signal))));
    if (terminal) undo.push(followWindow(attachment));
    const outputs = Promise.all([
      copy(attachment.stdout, process.stdout),
      copy(attachment.stderr, process.stderr),
    ]);
    const ways: Promise<'ended' | 'detached'>[] = [outputs.then(() => 'ended')];
    if (attachment.stdin !== null) {
      const typed = typing(attachment, terminal, flags.detachKeys);
      undo.push(typed.end);
      ways.push(typed.detached.then(() => 'detached'));
    }
    const way = await Promise.race(ways);
    if (way === 'ended') return codeOfExit(await box.wait());
    attachment.close();
    await outputs;
    return 0;
  } finally {
    for (const each of undo.reverse()) each();
  }
}

/** `ringfort attach`. */
export function attachCommand(): Command {
  return new Command('attach')
    .description('Join the program of a container: what it prints from now on, and its stdin')
    .argument('<container>', 'id, or beginning of an id')
    .addOption(
      new Option('--detach-keys <keys>', 'type these to leave it running')
        .argParser(parseDetachKeys)
        .default(parseDetachKeys(defaultDetachKeys), defaultDetachKeys),
    )
    .option('--no-stdin', 'watch it only')
    .option('--sig-proxy [boolean]', 'without a terminal: pass signals on to it (default: true)')
    .action(
      action((word: string, flags: AttachFlags) =>
        withContainer(word, (box) => attachTo(box, flags)),
      ),
    );
}
