import { getSystemErrorMap } from 'node:util';
import { errnoName } from '../errors.js';

/** What a call was about; each field only where there is one. */
export interface CallFacts {
  path?: string | undefined;
  /** The second path of a call that takes two. */
  dest?: string | undefined;
  /** In place of a path: another word for the message. */
  about?: string | undefined;
}

/**
 * A system call failed. It has the shape and the text of Node's own system errors:
 * `EPERM: operation not permitted, mount 'proc' -> '/proc'`. Branch on `code`.
 */
export class SyscallError extends Error implements NodeJS.ErrnoException {
  override readonly name = 'SyscallError';
  /** The errno's name: `EPERM`. */
  readonly code: string;
  /** The negative errno. */
  readonly errno: number;
  /** The call, as its man page in section 2 names it. */
  readonly syscall: string;
  declare readonly path?: string;
  declare readonly dest?: string;

  /** @param errno of either sign */
  constructor(errno: number, syscall: string, facts: CallFacts = {}) {
    const { path, dest } = facts;
    const code = errnoName(errno);
    const words = getSystemErrorMap().get(-Math.abs(errno))?.[1] ?? 'system error';
    const about = path ?? facts.about;
    const object = about === undefined ? '' : ` '${about}'`;
    super(`${code}: ${words}, ${syscall}${object}${dest === undefined ? '' : ` -> '${dest}'`}`);
    this.code = code;
    this.errno = -Math.abs(errno);
    this.syscall = syscall;
    for (const [key, value] of Object.entries({ path, dest })) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}
