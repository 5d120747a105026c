import {
  closeSync,
  constants,
  copyFileSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { constants as os } from 'node:os';
import { abis, type Machine } from '../../lib/seccomp/abis.js';
import { useLauncher } from './useLauncher.js';

/** Whose system calls are counted apart (test/native/faults.cc, Role). */
export const roles = [
  'launcher',
  'child',
  'init',
  'program',
  'joiner',
  'files',
  'monitor',
] as const;
export type Role = (typeof roles)[number];

/** What a call is made to fail with. `short`: a read or write that does half of it. */
export const faultNames = [
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOSPC',
  'EROFS',
  'EPERM',
  'EINTR',
  'EAGAIN',
  'EPIPE',
  'short',
] as const;
export type FaultName = (typeof faultNames)[number];

let callNames: ReadonlyMap<number, string> | undefined;

/** Name of a system call of this machine. */
export function callName(number: number): string {
  const [{ numbers }] = abis[process.arch as Machine];
  callNames ??= new Map([...numbers].map(([name, each]) => [each, name]));
  return callNames.get(number) ?? String(number);
}

/** How the file lies: six words, the counts, and a byte for each number of a call. */
const countsAt = 24;
const usedAt = countsAt + 4 * roles.length;
const size = usedAt + 512;
const short = 4095;

function errnoOf(name: FaultName | 'ENOSYS'): number {
  return name === 'short' ? short : os.errno[name];
}

/** The faults of the launchers of this process from now on. */
export class Faults {
  readonly #program: string;
  readonly #fd: number;

  /** @param launcher what `buildStoppingLauncher` has made; a copy of it is made beside it. */
  constructor(launcher: string) {
    this.#program = `${launcher}-${process.pid}`;
    copyFileSync(launcher, this.#program, constants.COPYFILE_EXCL);
    this.#fd = openSync(this.#file, 'wx+', 0o600);
    writeSync(this.#fd, Buffer.alloc(size), 0, size, 0);
    this.disarm();
    useLauncher(this.#program);
  }

  get #file(): string {
    return `${this.#program}.faults`;
  }

  #words(...values: number[]): void {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, index) => {
      bytes.writeInt32LE(value, 4 * index);
    });
    writeSync(this.#fd, bytes, 0, bytes.length, 0);
  }

  /** Counts from 0 again. */
  #count(): void {
    writeSync(this.#fd, Buffer.alloc(size - 16), 0, size - 16, 16);
  }

  /** From now on the `nth` call of a role fails, once. */
  arm(role: Role, nth: number, fault: FaultName): void {
    this.disarm();
    this.#count();
    this.#words(roles.indexOf(role), nth, errnoOf(fault), -1);
  }

  /** From now on all calls of a number fail. */
  armNumber(number: number, fault: FaultName | 'ENOSYS'): void {
    this.disarm();
    this.#count();
    this.#words(0, 0, errnoOf(fault), number);
  }

  /** From now on nothing fails. What has been counted stays. */
  disarm(): void {
    this.#words(0, 0, 0, -1);
  }

  /** Counts from 0 again, and nothing fails. */
  reset(): void {
    this.disarm();
    this.#count();
  }

  /** How many calls have failed since it was armed, and the name of the last. */
  get hits(): { count: number; call: string } {
    const bytes = Buffer.alloc(8);
    readSync(this.#fd, bytes, 0, 8, 16);
    return { count: bytes.readUInt32LE(0), call: callName(bytes.readUInt32LE(4)) };
  }

  /** How many calls a role has made. */
  count(role: Role): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#fd, bytes, 0, 4, countsAt + 4 * roles.indexOf(role));
    return bytes.readUInt32LE(0);
  }

  /** The numbers of the calls that any role has made since it was armed. */
  get used(): number[] {
    const bytes = Buffer.alloc(size - usedAt);
    readSync(this.#fd, bytes, 0, bytes.length, usedAt);
    return [...bytes.keys()].filter((number) => bytes[number] !== 0);
  }

  /** Removes its files. */
  close(): void {
    closeSync(this.#fd);
    unlinkSync(this.#file);
    unlinkSync(this.#program);
  }
}
