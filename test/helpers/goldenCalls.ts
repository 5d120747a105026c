import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../../../test/probe/calls-x64.txt', import.meta.url);

/** What one system call with arguments that are all -1 answers in a container of the defaults. */
export interface GoldenCall {
  number: number;
  /** `-` where the number has none. */
  name: string;
  /** The errno, `succeeds`, `exits`, `blocks` or a signal. */
  answer: string;
  /** `since 6.5`: older kernels say ENOSYS; `config`: so may this one, built otherwise. */
  mark: string;
}

/** The table, and the kernel that its answers are of (`6.18`). */
export function readGoldenCalls(): { kernel: string; calls: GoldenCall[] } {
  const [first = '', ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const kernel = /Linux (\d+\.\d+)/.exec(first)?.[1] ?? '';
  const calls = lines.map((line) => {
    const [number, name = '', answer = '', ...mark] = line.split(' ');
    return { number: Number(number), name, answer, mark: mark.join(' ') };
  });
  return { kernel, calls };
}

/** Writes it anew, as RINGFORT_UPDATE_PLANS=1 asks for: read the difference before it is committed. */
export function writeGoldenCalls(kernel: string, calls: readonly GoldenCall[]): void {
  const lines = calls.map(({ number, name, answer, mark }) =>
    `${number} ${name} ${answer} ${mark}`.trimEnd(),
  );
  const head = `# Linux ${kernel}, x86-64: number, name, answer to arguments of -1; see goldenCalls.ts`;
  writeFileSync(file, `${[head, ...lines].join('\n')}\n`);
}
