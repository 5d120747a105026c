import type { WholeFileOptions } from './fileHandle.js';

/** Options of calls that can be cancelled. */
export interface SignalOption {
  /** Gives up waiting; what the container has begun, it still does. */
  signal?: AbortSignal | undefined;
}

/** Options of `readFile`. */
export interface ReadFileOptions extends WholeFileOptions {
  /** Default `'r'`. */
  flag?: string | number | undefined;
  /** Refuses to take more into memory: `ERR_FS_FILE_TOO_LARGE`. Default 2 GiB − 1, as Node. */
  maxBytes?: number | undefined;
}

/** Options of `writeFile` and `appendFile`. */
export interface WriteFileOptions extends WholeFileOptions {
  /** Default `'w'`; of `appendFile`, `'a'`. */
  flag?: string | number | undefined;
  /** Of a file that is made by this, less the container's umask. Default 0o666. */
  mode?: number | string | undefined;
}

/** Options of `readdir`. */
export interface ReaddirOptions extends SignalOption {
  withFileTypes?: boolean | undefined;
  /** Everything below, too; no symbolic link is followed. */
  recursive?: boolean | undefined;
}

/** Options of `mkdir`. */
export interface MkdirOptions {
  /** Makes what is missing on the way; what is there already is no error. */
  recursive?: boolean | undefined;
  /** Less the container's umask. Default 0o777. */
  mode?: number | string | undefined;
}

/** Options of `rm`. */
export interface RmOptions extends SignalOption {
  recursive?: boolean | undefined;
  /** What is not there is no error. */
  force?: boolean | undefined;
}
