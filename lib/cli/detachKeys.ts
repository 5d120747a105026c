import { InvalidArgumentError } from 'commander';

/** docker's: ^P ^Q. */
export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/**
 * A sequence of keys as docker writes it: characters, and `ctrl-` with a letter or one of
 * `@[\]^_`, with commas between.
 * @returns the bytes that a terminal sends for them
 */
export function parseDetachKeys(text: string): Buffer {
  const bytes = text.split(',').map((key) => {
    const [, control] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 0x40;
    if (/^[!-~]$/.test(key)) return key.charCodeAt(0);
    throw new InvalidArgumentError("Expected keys such as 'ctrl-p,ctrl-q'.");
  });
  return Buffer.from(bytes);
}

/** Looks for the keys in what is typed. */
export class DetachFilter {
  readonly #keys: Buffer;
  /** So many of them have come, and are held back. */
  #seen = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** @returns what goes to the program, and whether the keys have come; what follows them is lost */
  take(chunk: Buffer): { data: Buffer; detached: boolean } {
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#seen]) {
        out.push(...this.#keys.subarray(0, this.#seen));
        this.#seen = 0;
      }
      if (byte !== this.#keys[this.#seen]) out.push(byte);
      else if (++this.#seen === this.#keys.length)
        return { data: Buffer.from(out), detached: true };
    }
    return { data: Buffer.from(out), detached: false };
  }
}
