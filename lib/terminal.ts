import { ReadStream } from 'node:tty';
import type { Stdio } from './stdio.js';
import { setWindowSize } from './sys/files.js';

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
  let master: ReadStream | undefined;
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
      const stream = new ReadStream(fd);
      master = stream;
      // A read fails with EIO once the guest has closed its side (pty(7)): that is the end.
      stream.on('error', () => {});
      stream.on('close', end);
      stream.pipe(stdout, { end: false });
      resize = () => {
        if (!stream.destroyed) setWindowSize(fd, stdout.rows, stdout.columns);
      };
      if (stdout.isTTY) stdout.on('resize', resize);
      if (stdin === undefined) return;
      process.on('exit', restore);
      if (stdin.isTTY) stdin.setRawMode(true);
      stdin.pipe(stream, { end: false });
    },
    sent() {},
    destroy() {
      stdout.removeListener('resize', resize);
      if (stdin !== undefined && master !== undefined) {
        stdin.unpipe(master);
        // A stream that is being read would keep this process alive.
        stdin.pause();
        restore();
        process.removeListener('exit', restore);
      }
      master?.destroy();
    },
  };
}
