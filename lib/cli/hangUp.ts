import { isatty } from 'node:tty';

/**
 * Lets this process end by SIGHUP where its terminal has gone by then. Node would put the mode of
 * the terminal back, which is not there, and abort over that with a core dump.
 */
export function endWithTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.on('exit', () => {
    if (terminals.every((fd) => isatty(fd))) return;
    process.removeAllListeners('SIGHUP');
    process.kill(process.pid, 'SIGHUP');
  });
}
