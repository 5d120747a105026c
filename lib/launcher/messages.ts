/** What the launcher is asked (native/protocol.h, Request). */
export const request = {
  unshareUser: 1,
  makeHome: 2,
  launch: 3,
  signal: 4,
  kill: 5,
  exec: 6,
  release: 7,
  detach: 16,
  hello: 17,
  feed: 18,
} as const;

/** Streams of the command that come with a detach (native/protocol.h, DetachStream). */
export const detachStream = { stdin: 1, stdout: 2, stderr: 4, pty: 8 } as const;

/** What it answers (native/protocol.h, Report). */
export const reportType = {
  ready: 1,
  running: 2,
  failed: 3,
  exited: 4,
  gone: 5,
  pty: 6,
  created: 7,
  trace: 8,
} as const;

/** Section number of a failure that belongs to no section of the plan. */
export const launcherSection = 4;

/** Section number of a prepare step that could not be noted in the journal. */
export const journalSection = 5;

/** What one `read` step of a teardown found. */
export interface Found {
  /** Index of the step in the teardown. */
  step: number;
  /** errno, 0 when the file was read. */
  error: number;
  data: Buffer;
}

/** One report, as native/protocol.h lays it out. */
export interface Report {
  type: number;
  id: number;
  section: number;
  step: number;
  /** errno, 0 when none. */
  error: number;
  pid: number;
  /** Wait status of the main program, −1 when unknown. */
  status: number;
  oom: boolean;
  /** rusage of the container's processes, µs and bytes. */
  userUs: number;
  systemUs: number;
  maxRssBytes: number;
  /** Teardown steps that have not succeeded yet. */
  left: number;
  found: Found[];
  /** The data of a trace report (lib/trace.ts). */
  trace?: Buffer;
}

const headerSize = 64;

function decodeFound(data: Buffer): Found[] {
  const found: Found[] = [];
  let at = 0;
  while (at + 12 <= data.length) {
    const size = data.readUInt32LE(at + 8);
    found.push({
      step: data.readUInt32LE(at),
      error: data.readUInt32LE(at + 4),
      data: data.subarray(at + 12, at + 12 + size),
    });
    at += 12 + size + (-size & 3);
  }
  return found;
}

/** Reads one report; `undefined` when it is not one. */
export function decodeReport(message: Buffer): Report | undefined {
  if (message.length < headerSize) return undefined;
  const size = message.readUInt32LE(56);
  if (message.length !== headerSize + size) return undefined;
  const type = message.readUInt32LE(0);
  const data = message.subarray(headerSize);
  return {
    type,
    id: message.readUInt32LE(4),
    section: message.readUInt32LE(8),
    step: message.readUInt32LE(12),
    error: message.readInt32LE(16),
    pid: message.readInt32LE(20),
    status: message.readInt32LE(24),
    oom: message.readUInt32LE(28) !== 0,
    userUs: Number(message.readBigUInt64LE(32)),
    systemUs: Number(message.readBigUInt64LE(40)),
    maxRssBytes: Number(message.readBigUInt64LE(48)),
    left: message.readUInt32LE(60),
    ...(type === reportType.trace ? { found: [], trace: data } : { found: decodeFound(data) }),
  };
}

/** How a program ended, from its wait status (waitpid(2)). */
export function decodeStatus(status: number): { exitCode: number | null; signal: number | null } {
  if (status < 0) return { exitCode: null, signal: null };
  const signal = status & 0x7f;
  return signal === 0
    ? { exitCode: (status >> 8) & 0xff, signal: null }
    : { exitCode: null, signal };
}
