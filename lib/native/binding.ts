import type { SysBinding } from '../sys/binding.js';

/** The addon's socket to one launcher process (native/addon/launcher.cc). */
export interface Channel {
  /** -1 for a launcher that was connected to. */
  readonly pid: number;
  /** False when the socket is full just now: try again after `onWritable`. */
  send(
    type: number,
    id: number,
    arg: number,
    plan: Uint8Array | undefined,
    fds: readonly number[],
  ): boolean;
  /** One call of `onWritable` when the socket takes messages again. */
  watchWritable(): void;
  close(): void;
  /** Keeps the event loop alive; `unref` (the state at start) does not. */
  ref(): void;
  unref(): void;
  /**
   * `true`: the launcher may outlive this environment, whose end does not wait for it, and `onExit`
   * is called when the socket ends.
   */
  release(outlives: boolean): void;
}

/** A socket of messages with descriptors beside them (native/addon/socket.cc). */
export interface MessageSocket {
  /** False when the socket is full just now: try again after `onWritable`. */
  send(bytes: Uint8Array, fds: readonly number[]): boolean;
  /** One call of `onWritable` when the socket takes messages again. */
  watchWritable(): void;
  /** Closes the descriptor too. */
  close(): void;
  /** Keeps the event loop alive; `unref` (the state at start) does not. */
  ref(): void;
  unref(): void;
}

/** Writes that never wait, to a terminal's master side (native/addon/writer.cc). */
export interface Writer {
  /** How many bytes were taken; 0 when there is no room: try again after `onWritable`. */
  write(bytes: Uint8Array): number;
  /** One call of `onWritable` when there is room; this alone does not keep the event loop alive. */
  watchWritable(): void;
  close(): void;
}

/** One row of native/file_ops.def. */
export interface FileOpRow {
  name: string;
  paths: number;
  data: number;
}

/** One row of native/steps.def. */
export interface StepRow {
  name: string;
  signature: string;
  sides: number;
  needs: number;
  raises: number;
}

/** What the addon exports. */
export interface Binding {
  sys: SysBinding;
  steps: StepRow[];
  /** Numbers of native/protocol.h. */
  protocol: Record<string, number>;
  Channel: new (
    /** Of the launcher program, '' for the memfd; or a socket to a launcher that runs. */
    launcher: string | number,
    lockFd: number,
    journalFd: number,
    onMessage: (report: Buffer, fds: number[]) => void,
    onWritable: () => void,
    onExit: () => void,
  ) => Channel;
  fileOps: FileOpRow[];
  /** Numbers of native/file_protocol.h. */
  fileProtocol: Record<string, number>;
  MessageSocket: new (
    fd: number,
    onMessage: (message: Buffer, fds: number[]) => void,
    onWritable: () => void,
    onEnd: () => void,
  ) => MessageSocket;
  /**
   * The next run of data of a file at or after an offset, from its first byte to behind its last;
   * undefined where there is none (native/addon/seek.cc).
   */
  nextData(fd: number, from: number): Promise<[start: number, end: number] | undefined>;
  /**
   * Has a descriptor no longer closed at the end of a worker, as all are that `sys` has opened and those
   * that came in messages: it has another owner now.
   */
  release(fd: number): void;
  /** Has a copy of the descriptor, which becomes non-blocking. */
  Writer: new (
    fd: number,
    onWritable: () => void,
  ) => Writer;
}
