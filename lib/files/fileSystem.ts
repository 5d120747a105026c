import { randomBytes } from 'node:crypto';
import { constants, type ReadStream, type WriteStream } from 'node:fs';
import { codeOf } from '../errors.js';
import { close } from '../sys/files.js';
import type { FileAgent } from './agent.js';
import { Directory } from './directory.js';
import { FileHandle } from './fileHandle.js';
import { copyData, type FileData, readToEnd, writeData } from './io.js';
import { makeDirectories } from './makeDirectories.js';
import { modeBits, openFlags } from './openFlags.js';
import type {
  MkdirOptions,
  ReaddirOptions,
  ReadFileOptions,
  RmOptions,
  SignalOption,
  WriteFileOptions,
} from './options.js';
import {
  type About,
  callError,
  type GuestPath,
  invalidArgument,
  joinPath,
  pathBytes,
  pathText,
} from './paths.js';
import { type FileOp, type FileRequest, fileProtocol } from './protocol.js';
import { realPath } from './realPath.js';
import { isDirectoryError, removeTree } from './remove.js';
import { Dirent, malformed, Stats } from './stats.js';
import {
  openingReadStream,
  openingWriteStream,
  type ReadStreamOptions,
  type WriteStreamOptions,
} from './streams.js';
import { type Time, timeNumbers } from './time.js';
import { walk } from './walk.js';
import { type WatchEvent, Watches, type WatchOptions } from './watch.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, COPYFILE_EXCL } = constants;
const { noFollow } = fileProtocol;

function options<T extends object>(given: T | BufferEncoding | null | undefined): T {
  return (typeof given === 'string' ? { encoding: given } : (given ?? {})) as T;
}

/** Size of a file that has been opened; who gets none does not get the descriptor either. */
function sizeOf(data: Buffer, fd: number): number {
  try {
    return new Stats(data).size;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * The files of a live container, shaped like node:fs/promises: same names, same errors.
 *
 * Every path is resolved inside the container, as its root user with CAP_DAC_OVERRIDE, CAP_CHOWN and
 * CAP_FOWNER, and never through a magic link of proc (ELOOP). Nothing that a guest plants can lead
 * out, or make a call hang: a fifo, socket or device is refused with ENXIO, and a file of proc, sys
 * or a cgroup can be read but not written (EPERM). Relative paths start at the container's working
 * directory. Owners are ids of the container, times ms, sizes bytes.
 *
 * Each method rejects with `ContainerGoneError` when the container ends under it.
 */
export class FileSystem {
  readonly #agent: FileAgent;
  readonly #cwd: string;
  readonly #watches: Watches;

  /** @param cwd the agent's working directory, for `realpath` */
  constructor(agent: FileAgent, cwd = '/') {
    this.#agent = agent;
    this.#cwd = cwd;
    this.#watches = new Watches(agent);
  }

  /** A call about one path. */
  #on(
    op: FileOp,
    syscall: string,
    path: GuestPath,
    request: FileRequest = {},
    signal?: AbortSignal,
  ) {
    const bytes = pathBytes(path, syscall);
    return this.#agent.call(op, { ...request, path: bytes }, { syscall, path }, { signal });
  }

  /** A call about two. */
  #onBoth(
    op: FileOp,
    syscall: string,
    path: GuestPath,
    dest: GuestPath,
    request: FileRequest = {},
  ) {
    const both = { path: pathBytes(path, syscall), path2: pathBytes(dest, syscall) };
    return this.#agent.call(op, { ...request, ...both }, { syscall, path, dest });
  }

  /**
   * Opens a file; a directory only with `O_DIRECTORY`.
   * @param flags a word or number of node:fs. Default `'r'`
   * @param mode of a file that is made by this, less the umask. Default 0o666
   */
  async open(
    path: GuestPath,
    flags: string | number = 'r',
    mode?: number | string,
    { signal }: SignalOption = {},
  ): Promise<FileHandle> {
    const numbers = [openFlags(flags), modeBits(mode, 0o666)];
    const { fd, data } = await this.#on('open', 'open', path, { numbers }, signal);
    return new FileHandle(this.#agent, fd, path, sizeOf(data, fd));
  }

  readFile(
    path: GuestPath,
    options: (ReadFileOptions & { encoding: BufferEncoding }) | BufferEncoding,
  ): Promise<string>;
  readFile(path: GuestPath, options?: ReadFileOptions | null): Promise<Buffer>;
  /** A whole file, as a `Buffer` or, with an encoding, as text. */
  async readFile(
    path: GuestPath,
    given?: ReadFileOptions | BufferEncoding | null,
  ): Promise<string | Buffer> {
    const { encoding, flag = 'r', signal, maxBytes } = options<ReadFileOptions>(given);
    await using file = await this.open(path, flag, undefined, { signal });
    const bytes = await readToEnd(file.fd, file.openedSize, {
      signal,
      ...(maxBytes !== undefined && { maxBytes }),
    });
    return encoding ? bytes.toString(encoding) : bytes;
  }

  /** Replaces a file's contents, or makes it. */
  async writeFile(
    path: GuestPath,
    data: FileData,
    given?: WriteFileOptions | BufferEncoding | null,
  ): Promise<void> {
    const { encoding, flag = 'w', mode, signal } = options<WriteFileOptions>(given);
    await using file = await this.open(path, flag, mode, { signal });
    await writeData(file.fd, data, encoding ?? 'utf8', signal);
  }

  /** Adds to the end of a file, or makes it. */
  appendFile(
    path: GuestPath,
    data: FileData,
    given?: WriteFileOptions | BufferEncoding | null,
  ): Promise<void> {
    const { flag = 'a', ...rest } = options<WriteFileOptions>(given);
    return this.writeFile(path, data, { ...rest, flag });
  }

  /** A stream over a file, with node:fs' options (`start`, `end`, `highWaterMark`, …). */
  createReadStream(path: GuestPath, given?: ReadStreamOptions | BufferEncoding): ReadStream {
    const open = (flags: string | number) => this.open(path, flags);
    return openingReadStream(pathText(path), options<ReadStreamOptions>(given), open);
  }

  /** A stream into a file, with node:fs' options (`start`, `flags`, `mode`, …). */
  createWriteStream(path: GuestPath, given?: WriteStreamOptions | BufferEncoding): WriteStream {
    const open = (flags: string | number, mode?: number) => this.open(path, flags, mode);
    return openingWriteStream(pathText(path), options<WriteStreamOptions>(given), open);
  }

  /** State of what the path leads to. */
  async stat(path: GuestPath, { signal }: SignalOption = {}): Promise<Stats> {
    return new Stats((await this.#on('stat', 'stat', path, {}, signal)).data);
  }

  /** State of the name itself, which may be a symbolic link. */
  async lstat(path: GuestPath, { signal }: SignalOption = {}): Promise<Stats> {
    return new Stats((await this.#on('stat', 'lstat', path, { flags: noFollow }, signal)).data);
  }

  /** Whether the container's root may do it: `constants.R_OK`, `W_OK`, `X_OK`. Default `F_OK`. */
  async access(path: GuestPath, mode: number = constants.F_OK): Promise<void> {
    await this.#on('access', 'access', path, { numbers: [mode] });
  }

  /** Makes a directory. @returns with `recursive`, the first one that was made, if any */
  async mkdir(
    path: GuestPath,
    given?: MkdirOptions | number | string | null,
  ): Promise<string | undefined> {
    const { recursive = false, mode }: MkdirOptions =
      typeof given === 'object' ? (given ?? {}) : given === undefined ? {} : { mode: given };
    const numbers = [modeBits(mode, 0o777)];
    const mkdir = (at: GuestPath) => this.#on('mkdir', 'mkdir', at, { numbers });
    if (recursive) return makeDirectories({ mkdir, stat: (at) => this.stat(at) }, path);
    await mkdir(path);
    return undefined;
  }

  /** Makes a directory with six random characters after the prefix. @returns its path */
  async mkdtemp(prefix: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      const path = prefix + randomBytes(6).toString('base64url').slice(0, 6);
      try {
        await this.#on('mkdir', 'mkdtemp', path, { numbers: [0o700] });
        return path;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST' || tries === 100) throw error;
      }
    }
  }

  readdir(path: GuestPath, options: ReaddirOptions & { withFileTypes: true }): Promise<Dirent[]>;
  readdir(path: GuestPath, options?: ReaddirOptions): Promise<string[]>;
  /** Names in a directory, without `.` and `..`; with `recursive`, relative paths. */
  async readdir(path: GuestPath, given: ReaddirOptions = {}): Promise<string[] | Dirent[]> {
    const { withFileTypes = false, recursive = false, signal } = given;
    const about: About = { syscall: 'scandir', path };
    const context = { agent: this.#agent, about, signal, begun: true };
    const request = { path: pathBytes(path, 'scandir') };
    const found: { below: Buffer; name: Buffer; type: number }[] = [];
    const visit = (below: Buffer, name: Buffer, type: number) => found.push({ below, name, type });
    const list = async () => {
      const top = await Directory.open(context, request);
      await (recursive ? this.#readTree(top, visit) : this.#readOne(top, visit));
    };
    await this.#agent.inTurn(recursive ? 'trees' : 'listings', list, signal);
    if (!withFileTypes) return found.map(({ below, name }) => joinPath(below, name).toString());
    const start = pathText(path);
    return found.map(({ below, name, type }) => {
      const parent = below.length === 0 ? start : joinPath(Buffer.from(start), below).toString();
      return new Dirent(name.toString(), parent, type);
    });
  }

  async #readOne(top: Directory, visit: (below: Buffer, name: Buffer, type: number) => void) {
    const none = Buffer.alloc(0);
    try {
      for (let entry = await top.next(); entry !== undefined; entry = await top.next()) {
        const { name, type } = entry;
        visit(none, name, type === 0 ? (await top.lstat(name)).mode & constants.S_IFMT : type);
      }
    } finally {
      top.close();
    }
  }

  async #readTree(top: Directory, visit: (below: Buffer, name: Buffer, type: number) => void) {
    const below: Buffer[] = [Buffer.alloc(0)];
    for await (const { kind, name, ...rest } of walk(top)) {
      const at = below.at(-1) as Buffer;
      if (kind === 'leave') below.pop();
      else visit(at, name, 'type' in rest ? rest.type : constants.S_IFDIR);
      if (kind === 'enter') below.push(joinPath(at, name));
    }
  }

  /** Removes a file, a symbolic link or, with `recursive`, a tree of any depth. */
  async rm(
    path: GuestPath,
    { recursive = false, force = false, signal }: RmOptions = {},
  ): Promise<void> {
    try {
      const { data } = await this.#on('stat', 'rm', path, { flags: noFollow }, signal);
      if (!new Stats(data).isDirectory()) await this.#on('unlink', 'rm', path, {}, signal);
      else if (recursive) {
        const remove = () => removeTree(this.#agent, path, { signal, begun: true });
        await this.#agent.inTurn('trees', remove, signal);
      } else throw isDirectoryError(path);
    } catch (error) {
      if (!force || codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Removes an empty directory. */
  async rmdir(path: GuestPath): Promise<void> {
    await this.#on('rmdir', 'rmdir', path);
  }

  /** Removes a name that is not a directory. */
  async unlink(path: GuestPath): Promise<void> {
    await this.#on('unlink', 'unlink', path);
  }

  /** Moves a name; what the new one was is replaced at once. */
  async rename(from: GuestPath, to: GuestPath): Promise<void> {
    await this.#onBoth('rename', 'rename', from, to);
  }

  /** Makes a symbolic link. */
  async symlink(target: GuestPath, path: GuestPath): Promise<void> {
    const request = { path: pathBytes(path, 'symlink'), path2: pathBytes(target, 'symlink') };
    await this.#agent.call('symlink', request, { syscall: 'symlink', path: target, dest: path });
  }

  /** What a symbolic link holds. */
  async readlink(path: GuestPath): Promise<string> {
    return (await this.#on('readlink', 'readlink', path)).data.toString();
  }

  /** Gives a file a second name. */
  async link(existing: GuestPath, path: GuestPath): Promise<void> {
    await this.#onBoth('link', 'link', existing, path);
  }

  async chmod(path: GuestPath, mode: number | string): Promise<void> {
    await this.#on('chmod', 'chmod', path, { numbers: [modeBits(mode, 0)] });
  }

  /** @param uid of the container, as `gid`; −1 leaves it */
  async chown(path: GuestPath, uid: number, gid: number): Promise<void> {
    await this.#on('chown', 'chown', path, { numbers: [uid, gid] });
  }

  /** As `chown`, of a symbolic link itself. */
  async lchown(path: GuestPath, uid: number, gid: number): Promise<void> {
    await this.#on('chown', 'lchown', path, { numbers: [uid, gid], flags: noFollow });
  }

  /** Seconds since the epoch, or `Date`s. */
  async utimes(path: GuestPath, atime: Time, mtime: Time): Promise<void> {
    await this.#on('utimes', 'utime', path, { numbers: timeNumbers(atime, mtime) });
  }

  /** As `utimes`, of a symbolic link itself. */
  async lutimes(path: GuestPath, atime: Time, mtime: Time): Promise<void> {
    const request = { numbers: timeNumbers(atime, mtime), flags: noFollow };
    await this.#on('utimes', 'lutime', path, request);
  }

  /** @param size bytes, 0 unless given */
  async truncate(path: GuestPath, size = 0): Promise<void> {
    if (!Number.isSafeInteger(size) || size < 0)
      throw invalidArgument('ERR_OUT_OF_RANGE', `size: expected bytes, got ${size}`);
    await this.#on('truncate', 'truncate', path, { numbers: [size] });
  }

  /** Copies a file within the container. @param mode `COPYFILE_EXCL` refuses to replace one */
  async copyFile(
    from: GuestPath,
    to: GuestPath,
    mode = 0,
    { signal }: SignalOption = {},
  ): Promise<void> {
    const excl = (mode & COPYFILE_EXCL) !== 0 ? O_EXCL : 0;
    await using source = await this.open(from, O_RDONLY, undefined, { signal });
    const { mode: bits, id } = await source.stat();
    // Not cut off at once: it may be the source.
    await using target = await this.open(to, O_WRONLY | O_CREAT | excl, bits & 0o777, { signal });
    const about = { syscall: 'copyfile', path: from, dest: to };
    if ((await target.stat()).id === id) throw callError(22, about);
    await target.truncate();
    await copyData(source.fd, target.fd, { signal });
  }

  /** The path without symbolic links, `.` and `..`. */
  realpath(path: GuestPath): Promise<string> {
    const lstat = async (at: string) =>
      new Stats((await this.#on('stat', 'realpath', at, { flags: noFollow })).data);
    return realPath({ lstat, readlink: (at) => this.readlink(at) }, path, this.#cwd);
  }

  /** Space of the file system that a path lies on, with the fields of node:fs' `StatFs`. */
  async statfs(
    path: GuestPath,
  ): Promise<Record<'type' | 'bsize' | 'blocks' | 'bfree' | 'bavail' | 'files' | 'ffree', number>> {
    const { data } = await this.#on('statfs', 'statfs', path);
    const names = ['type', 'bsize', 'blocks', 'bfree', 'bavail', 'files', 'ffree'] as const;
    if (data.length < 8 * names.length) throw malformed('state of a file system');
    const fields = names.map((name, i) => [name, Number(data.readBigInt64LE(8 * i))]);
    return Object.fromEntries(fields) as Record<(typeof names)[number], number>;
  }

  /**
   * Changes of a file, or of the names in a directory, as they happen. Ends when what it watches is
   * removed, with an AbortError by `signal`, or when the iteration is left.
   */
  watch(path: GuestPath, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void> {
    return this.#watches.watch(path, options);
  }
}
