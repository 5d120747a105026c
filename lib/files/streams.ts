import {
  createReadStream,
  createWriteStream,
  type ReadStream,
  read,
  type WriteStream,
  write,
  writev,
} from 'node:fs';

type Done = (error: Error | null) => void;
type Opened = (error: Error | null, fd?: number) => void;

/** The options of a stream over a guest's file, as node:fs has them. */
export type ReadStreamOptions = Exclude<Parameters<typeof createReadStream>[1], string | undefined>;
/** The options of a stream into a guest's file, as node:fs has them. */
export type WriteStreamOptions = Exclude<
  Parameters<typeof createWriteStream>[1],
  string | undefined
>;

/** What the streams need of a handle. */
export interface Closable {
  readonly fd: number;
  close(): Promise<void>;
}

/** node:fs' own streams, but the file is opened in the container. */
function streamCalls(open: (flags: string | number, mode?: number) => Promise<Closable>) {
  let handle: Closable | undefined;
  return {
    open(_path: string, flags: string | number, mode: number | undefined, done: Opened): void {
      open(flags, mode).then(
        (opened) => {
          handle = opened;
          done(null, opened.fd);
        },
        (error: Error) => done(error),
      );
    },
    close(_fd: number, done: Done): void {
      (handle?.close() ?? Promise.resolve()).then(() => done(null), done);
    },
  };
}

/** A stream that opens its file itself. */
export function openingReadStream(
  path: string,
  options: ReadStreamOptions,
  open: (flags: string | number) => Promise<Closable>,
): ReadStream {
  return createReadStream(path, { ...options, fs: { ...streamCalls(open), read } });
}

/** A stream that opens its file itself. */
export function openingWriteStream(
  path: string,
  options: WriteStreamOptions,
  open: (flags: string | number, mode?: number) => Promise<Closable>,
): WriteStream {
  return createWriteStream(path, { ...options, fs: { ...streamCalls(open), write, writev } });
}

/** Streams over a file that is open. */
export function descriptorStreams(handle: Closable) {
  const close = (_fd: number, done: Done): void => {
    handle.close().then(() => done(null), done);
  };
  const { fd } = handle;
  return {
    read: (options: ReadStreamOptions): ReadStream =>
      createReadStream('', { ...options, fd, fs: { close, read } }),
    write: (options: WriteStreamOptions): WriteStream =>
      createWriteStream('', { ...options, fd, fs: { close, write, writev } }),
  };
}
