/**
 * The language between Node and a container's file agent: native/file_protocol.h in types.
 * test/contract/fileProtocol.test.ts holds the two together.
 */

/** `name: [paths, data]` of every request, in the order of native/file_ops.def. */
export const fileOps = {
  open: [1, 0],
  openDir: [1, 0],
  closeDir: [0, 0],
  readdir: [0, 0],
  stat: [1, 0],
  access: [1, 0],
  mkdir: [1, 0],
  rmdir: [1, 0],
  unlink: [1, 0],
  rename: [2, 0],
  symlink: [2, 0],
  readlink: [1, 0],
  link: [2, 0],
  chmod: [1, 0],
  chown: [1, 0],
  utimes: [1, 0],
  truncate: [1, 0],
  whiteout: [1, 0],
  getxattr: [2, 0],
  setxattr: [2, 1],
  removexattr: [2, 0],
  listxattr: [1, 0],
  statfs: [1, 0],
  watch: [1, 0],
  unwatch: [0, 0],
  mknod: [1, 0],
  copyData: [2, 0],
} as const satisfies Record<string, readonly [paths: number, data: number]>;

/** The name of a request. */
export type FileOp = keyof typeof fileOps;

const codes = new Map<string, number>(Object.keys(fileOps).map((name, code) => [name, code]));

/** Numbers of native/file_protocol.h. */
export const fileProtocol = {
  /** Longest path, bytes: PATH_MAX without its NUL. */
  maxPath: 4095,
  /** Most data of one message, bytes. */
  maxData: 65536,
  /** Directory handles open at once. */
  maxDirs: 256,
  /** In place of a handle: the agent's working directory. */
  cwd: 0xffffffff,
  /** In place of a handle: the descriptor that is sent along; the path is empty then. */
  passed: 0xfffffffe,
  /** A symbolic link at the end of the path is meant itself. */
  noFollow: 1,
  /** A symbolic link on the way is ELOOP. */
  noSymlinks: 2,
  kindReply: 0,
  kindEvents: 1,
  requestSize: 64,
  replySize: 24,
} as const;

/**
 * A numbered directory of the agent, or one of the places of `fileProtocol`. A client's handles are
 * numbers that no later agent gives again (`FileAgent`).
 */
export type DirHandle = number;

/** What a request says. Texts are bytes: a name in Linux need not be UTF-8. */
export interface FileRequest {
  dir?: DirHandle;
  dir2?: DirHandle;
  /** Bits `noFollow` and `noSymlinks`. */
  flags?: number;
  path?: Uint8Array;
  /** Second path, target of a symbolic link, or name of an extended attribute. */
  path2?: Uint8Array;
  data?: Uint8Array;
  /** At most four. */
  numbers?: readonly (number | bigint)[];
}

const nothing = new Uint8Array();

/** One request as the agent reads it. Lengths are the caller's to check (`checkPath`). */
export function encodeRequest(op: FileOp, id: number, request: FileRequest): Buffer {
  const { path = nothing, path2 = nothing, data = nothing, numbers = [] } = request;
  const { requestSize, cwd } = fileProtocol;
  const bytes = Buffer.alloc(requestSize + path.length + path2.length + 2 + data.length);
  bytes.writeUInt32LE(codes.get(op) as number, 0);
  bytes.writeUInt32LE(id, 4);
  bytes.writeUInt32LE(request.dir ?? cwd, 8);
  bytes.writeUInt32LE(request.dir2 ?? cwd, 12);
  bytes.writeUInt32LE(request.flags ?? 0, 16);
  bytes.writeUInt32LE(path.length, 20);
  bytes.writeUInt32LE(path2.length, 24);
  bytes.writeUInt32LE(data.length, 28);
  for (const [i, number] of numbers.entries())
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(number)), 32 + 8 * i);
  bytes.set(path, requestSize);
  bytes.set(path2, requestSize + path.length + 1);
  bytes.set(data, requestSize + path.length + path2.length + 2);
  return bytes;
}

/** One reply, or some events of the agent's watches. */
export interface FileReply {
  kind: number;
  id: number;
  /** errno, 0 when none. */
  error: number;
  /** The listing of a directory is complete. */
  last: boolean;
  value: number;
  data: Buffer;
}

/** Reads one reply; `undefined` when it is not one. */
export function decodeReply(message: Buffer): FileReply | undefined {
  const { replySize } = fileProtocol;
  if (message.length < replySize || message.length !== replySize + message.readUInt32LE(20))
    return undefined;
  return {
    kind: message.readUInt32LE(0),
    id: message.readUInt32LE(4),
    error: message.readInt32LE(8),
    last: message.readUInt32LE(12) !== 0,
    value: message.readUInt32LE(16),
    data: message.subarray(replySize),
  };
}
