import { readFileSync } from 'node:fs';

/**
 * Where something is mounted, as this process sees it: proc_pid_mountinfo(5), whose octal escapes
 * of blanks and backslashes are undone.
 */
export function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      ),
    );
}
