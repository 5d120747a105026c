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

/** Runs calls on a descriptor that is not closed meanwhile; it rejects once it is. */
export type UseDescriptor = <T>(syscall: string, body: (fd: number) => Promise<T>) => Promise<T>;

/** One of node:fs' calls for a stream over a descriptor that others may close: its number would be another's. */
function held(use: UseDescriptor, syscall: string, call: (fd: number, ...rest: never[]) => void) {
  return (_fd: number, ...args: unknown[]): void => {
    const done = args.pop() as (...results: unknown[]) => void;
    const body = (fd: number) =>
      new Promise<unknown[]>((resolve) => {
        Reflect.apply(call, undefined, [fd, ...args, (...results: unknown[]) => resolve(results)]);
      });
    use(syscall, body).then((results) => done(...results), done);
  };
}

/** Streams over a file that is open. */
export function descriptorStreams(handle: Closable, use: UseDescriptor) {
  const close = (_fd: number, done: Done): void => {
    handle.close().then(() => done(null), done);
  };
  const { fd } = handle;
  const readCalls = { close, read: held(use, 'read', read) };
  const writeCalls = {
    close,
    write: held(use, 'write', write),
    writev: held(use, 'write', writev),
  };
  return {
    read: (options: ReadStreamOptions): ReadStream =>
      createReadStream('', { ...options, fd, fs: readCalls }),
    write: (options: WriteStreamOptions): WriteStream =>
      createWriteStream('', { ...options, fd, fs: writeCalls }),
  };
}
