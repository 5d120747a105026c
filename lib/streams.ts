import type { CompletionOptions, StdioChoice } from './options.js';
import { openStdio, type Stdio } from './stdio.js';
import { openTerminal, relayTerminal } from './terminal.js';

/** What an option of three streams says, or one word for all of them. */
export type StdioOption = NonNullable<CompletionOptions['stdio']>;

/** How the streams of a program are asked for. */
export interface StreamOptions {
  stdio?: StdioOption | undefined;
  pty?: { cols: number; rows: number } | undefined;
}

/**
 * Opens a program's streams: three of them, or a terminal in their place.
 * @param fed whether anybody will ever write to a stdin that is piped; else it is empty at once
 * @throws InvalidSpecError for a stream without a descriptor, or a descriptor that is closed
 */
export function openStreams({ stdio = 'pipe', pty }: StreamOptions, fed = true): Stdio {
  const [stdin, stdout, stderr]: [StdioChoice, StdioChoice, StdioChoice] = Array.isArray(stdio)
    ? stdio
    : [stdio, stdio, stdio];
  // Nobody could ever write to that pipe: the guest would wait for ever.
  const first = stdin === 'pipe' && !fed ? 'ignore' : stdin;
  if (pty === undefined) return openStdio([first, stdout, stderr]);
  return stdout === 'inherit' ? relayTerminal(first === 'inherit') : openTerminal();
}
