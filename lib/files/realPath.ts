import { callError, type GuestPath, pathText } from './paths.js';
import type { Stats } from './stats.js';

/** As many links as the kernel follows (path_resolution(7)). */
const maxLinks = 40;
const ELOOP = 40;

/** The two calls it takes. */
export interface LinkCalls {
  lstat(path: string): Promise<Stats>;
  readlink(path: string): Promise<string>;
}

/** realpath(3). @param cwd where a relative path starts */
export async function realPath(calls: LinkCalls, path: GuestPath, cwd: string): Promise<string> {
  let rest = pathText(path);
  let done = rest.startsWith('/') ? '' : cwd.replace(/\/+$/, '');
  for (let links = 0; ; ) {
    const [, name = '', after = ''] = /^\/*([^/]*)(.*)$/s.exec(rest) ?? [];
    rest = after;
    if (name === '') return done === '' ? '/' : done;
    if (name === '.') continue;
    if (name === '..') {
      done = done.replace(/\/[^/]*$/, '');
      continue;
    }
    const at = `${done}/${name}`;
    if (!(await calls.lstat(at)).isSymbolicLink()) {
      done = at;
      continue;
    }
    if (++links > maxLinks) throw callError(ELOOP, { syscall: 'realpath', path });
    const target = await calls.readlink(at);
    if (target.startsWith('/')) done = '';
    rest = `${target}${rest}`;
  }
}
