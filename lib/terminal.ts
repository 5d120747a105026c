import { readSync } from 'node:fs';
import { PassThrough, type Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { handOver } from './native/kept.js';
import type { Stdio } from './stdio.js';
import { close, setWindowSize } from './sys/files.js';
import { TerminalInput } from './terminalInput.js';

/** A read of a terminal gives at most this, however much there is: the kernel's N_TTY_BUF_SIZE. */
const maxRead = 4096;

/**
 * Reads the master side of a terminal to its end, which is when the guest has closed the other.
 * @param ended is called once all has been written to `output`
 */
function openMaster(fd: number, output: Writable, ended: () => void): ReadStream {
  const master = handOver(fd, () => new ReadStream(fd));
  // libuv takes a hang-up after a short read for the end, though there may be more.
  master.on('end', () => {
    for (let rest = readRest(fd); rest.length > 0; rest = readRest(fd)) output.write(rest);
  });
  // Nothing is left: a read fails with EIO, see pty(7).
  master.on('error', () => {});
  master.on('close', ended);
  master.pipe(output, { end: false });
  return master;
}

/**
 * Both directions of a terminal.
 * @throws Error of Node's where there is no room for one more descriptor; all is closed then
 */
function takeMaster(
  fd: number,
  input: TerminalInput,
  ...[output, ended]: [output: Writable, ended: () => void]
): ReadStream {
  try {
    // Also where nothing will be typed: from then on no read of it waits either, which a guest that
    // opens and closes its side could otherwise have us do.
    input.open(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
  return openMaster(fd, output, ended);
}

function readRest(fd: number): Buffer {
  const buffer = Buffer.alloc(maxRead);
  try {
    return buffer.subarray(0, readSync(fd, buffer));
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** A terminal instead of three streams: what the guest prints arrives as stdout. */
export function openTerminal(): Stdio {
  const stdin = new TerminalInput();
  const stdout = new PassThrough();
  let master: ReadStream | undefined;
  let masterFd = -1;
  let destroyed = false;
  return {
    fds: [],
    stdin,
    stdout,
    terminal(fd) {
      // Given up meanwhile.
      if (destroyed) return close(fd);
      masterFd = fd;
      master = takeMaster(fd, stdin, stdout, () => stdout.end());
    },
    resize({ cols, rows }) {
      if (master === undefined || master.destroyed) return false;
      setWindowSize(masterFd, rows, cols);
      return true;
    },
    flow() {},
    sent() {},
    destroy() {
      destroyed = true;
      master?.destroy();
      stdin.destroy();
      stdout.destroy();
    },
  };
}

/**
 * The guest's terminal joined to this process's own: what the guest prints goes to our stdout, and
 * with `input` our stdin goes to the guest byte for byte (raw mode: ^C is the guest's). The guest
 * is told when our window changes. The mode is put back on every way out; where a signal ends this
 * process without an `exit` event, Node itself does it.
 */
export function relayTerminal(input: boolean): Stdio {
  const { stdout } = process;
  // Merely looking at process.stdin opens it.
  const stdin = input ? process.stdin : undefined;
  const typed = new TerminalInput();
  // The guest has closed it: it ends soon.
  typed.on('error', () => {});
  let master: ReadStream | undefined;
  let destroyed = false;
  let end = () => {};
  const drained = new Promise<void>((resolve) => {
    end = resolve;
  });
  let resize = () => {};
  const restore = () => {
    if (stdin?.isTTY) stdin.setRawMode(false);
  };
  return {
    fds: [],
    drained,
    terminal(fd) {
      // Given up meanwhile.
      if (destroyed) return close(fd);
      const stream = takeMaster(fd, typed, stdout, end);
      master = stream;
      resize = () => {
        const { rows, columns } = stdout;
        // A terminal that was never told its size has none.
        if (!stream.destroyed && rows > 0 && columns > 0) setWindowSize(fd, rows, columns);
      };
      if (stdout.isTTY) {
        stdout.on('resize', resize);
        // It may have changed since its size was asked for.
        resize();
      }
      if (stdin === undefined) return;
      process.on('exit', restore);
      if (stdin.isTTY) stdin.setRawMode(true);
      stdin.pipe(typed, { end: false });
    },
    flow() {},
    sent() {},
    destroy() {
      destroyed = true;
      // It has printed nothing.
      if (master === undefined) end();
      stdout.removeListener('resize', resize);
      typed.destroy();
      if (stdin !== undefined && master !== undefined) {
        stdin.unpipe(typed);
        // A stream that is being read would keep this process alive.
        stdin.pause();
        restore();
        process.removeListener('exit', restore);
      }
      master?.destroy();
    },
  };
}
