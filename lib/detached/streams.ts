import { fchmodSync } from 'node:fs';
import { detachStream } from '../launcher/messages.js';
import type { CreateOptions, StdioChoice } from '../options.js';
import { openStdio } from '../stdio.js';
import { close, pipe2 } from '../sys/files.js';
import type { DetachedStreams } from './state.js';

/** The streams of a detached command: the guest's ends, and ours that go to the monitor. */
export interface MonitorStreams {
  readonly has: DetachedStreams;
  /** Guest ends of stdin, stdout, stderr, for the plan; none with a terminal. */
  readonly fds: readonly number[];
  /** Takes the terminal's master side. */
  onPty(fd: number): void;
  /** Our ends in the order that `detach` takes them, and the bits that say which. */
  kept(): { bits: number; fds: number[] };
  /** The plan has left. */
  sent(): void;
  /** Closes everything on this side. */
  destroy(): void;
}

type Choices = [StdioChoice, StdioChoice, StdioChoice];

const bits = [detachStream.stdin, detachStream.stdout, detachStream.stderr];

/** Opens the pipes of those streams that are asked for as `'pipe'`. */
function openPipes(choices: Choices, guests: number[], ours: (number | undefined)[]): Choices {
  return choices.map((choice, index) => {
    if (choice !== 'pipe') return choice;
    const [read, write] = pipe2();
    const [guest, own] = index === 0 ? [read, write] : [write, read];
    guests.push(guest);
    ours[index] = own;
    // A pipe is its maker's, whom nobody inside is: without this, /dev/stdout could not be opened.
    fchmodSync(guest, 0o666);
    return guest;
  }) as Choices;
}

/** With a terminal: one descriptor, which comes when the guest has made it. */
function openTerminal(): MonitorStreams {
  let master: number | undefined;
  const destroy = () => {
    if (master !== undefined) close(master);
    master = undefined;
  };
  return {
    has: { stdin: true, stdout: true, stderr: false, pty: true },
    fds: [],
    onPty(fd) {
      destroy();
      master = fd;
    },
    kept: () => ({ bits: detachStream.pty, fds: master === undefined ? [] : [master] }),
    sent() {},
    destroy,
  };
}

/**
 * Opens the streams of a detached command. A `'pipe'` has its other end with the monitor.
 * @throws InvalidSpecError for a stream without a descriptor, or a descriptor that is closed
 */
export function openMonitorStreams({ command, stdio, pty }: CreateOptions): MonitorStreams {
  if (pty !== undefined) return openTerminal();
  const fallback: Choices =
    command === undefined ? ['ignore', 'ignore', 'ignore'] : ['ignore', 'pipe', 'pipe'];
  const asked: Choices = Array.isArray(stdio)
    ? stdio
    : stdio === undefined
      ? fallback
      : [stdio, stdio, stdio];
  const guests: number[] = [];
  const ours: (number | undefined)[] = [];
  const closeAll = (fds: (number | undefined)[]) => {
    for (const fd of fds.splice(0)) if (fd !== undefined) close(fd);
  };
  try {
    const { fds, sent } = openStdio(openPipes(asked, guests, ours));
    const has = (index: number) => ours[index] !== undefined;
    return {
      has: { stdin: has(0), stdout: has(1), stderr: has(2), pty: false },
      fds,
      onPty: close,
      kept: () => ({
        bits: bits.reduce((sum, bit, index) => (has(index) ? sum | bit : sum), 0),
        fds: ours.filter((fd) => fd !== undefined),
      }),
      sent() {
        sent();
        closeAll(guests);
      },
      destroy() {
        sent();
        closeAll(guests);
        closeAll(ours);
      },
    };
  } catch (error) {
    closeAll(guests);
    closeAll(ours);
    throw error;
  }
}
