import { readFileSync } from 'node:fs';

/** Octal escapes of blanks and backslashes, undone. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** A line of /proc/self/mountinfo. @see proc_pid_mountinfo(5) */
export interface MountLine {
  point: string;
  /** Of the file system, such as `ext4` or `fuse.sshfs`. */
  type: string;
}

/** What is mounted, as this process sees it; of two at one point the later is on top. */
export function mountLines(): MountLine[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const point = line.split(' ')[4];
      const [, type = ''] = / - (\S+)/.exec(line) ?? [];
      return point === undefined ? [] : { point: unescaped(point), type };
    });
}

/** Where something is mounted, as this process sees it. */
export function mountPoints(): string[] {
  return mountLines().map(({ point }) => point);
}
