// JSON-RPC 2.0, one message a line, with somebody who is not trusted.
import type { Readable, Writable } from 'node:stream';

/** What the other side may call. Results and errors go back to it as they are. */
export type Methods = Record<string, (params: unknown) => unknown>;

/** A message that is longer than this is not waited for. */
const maxLine = 64 * 1024;
/** Messages that nobody has asked for, in all. */
const maxUnasked = 100;

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Message {
  id?: unknown;
  method?: unknown;
  params?: unknown;
  result?: unknown;
  error?: { message?: unknown };
}

/** One end of a conversation. It breaks off at the first thing that is against the rules. */
export class Peer {
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #unasked = 0;
  #over: Error | undefined;

  /** @param broken is told why the conversation is over */
  constructor(
    readonly input: Readable,
    readonly output: Writable,
    readonly methods: Methods,
    readonly broken: (why: Error) => void,
  ) {
    output.on('error', () => {});
    void this.#read();
  }

  async #read(): Promise<void> {
    let rest = '';
    this.input.setEncoding('utf8');
    try {
      for await (const chunk of this.input) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        if (Math.max(rest.length, ...lines.map((line) => line.length)) > maxLine)
          throw new Error(`a message of more than ${maxLine} characters`);
        for (const line of lines) this.#take(JSON.parse(line));
      }
    } catch (error) {
      const why = error instanceof SyntaxError ? new Error('a line that is no JSON') : error;
      this.close(why as Error);
      this.broken(why as Error);
    }
  }

  #take(message: Message): void {
    if (typeof message !== 'object' || message === null)
      throw new Error('a line that is no message');
    const { id, method, result, error } = message;
    if (typeof method === 'string') {
      if (++this.#unasked > maxUnasked) throw new Error(`more than ${maxUnasked} calls of its own`);
      this.#answer(id, method, message.params);
      return;
    }
    const pending = this.#pending.get(id as number);
    if (pending === undefined) throw new Error('an answer to nothing');
    this.#pending.delete(id as number);
    if (error === undefined) pending.resolve(result);
    else pending.reject(new Error(String(error?.message)));
  }

  #answer(id: unknown, method: string, params: unknown): void {
    const reply = (body: object) => id !== undefined && this.#send({ id, ...body });
    if (!Object.hasOwn(this.methods, method)) {
      reply({ error: { code: -32601, message: `no method ${method}` } });
      return;
    }
    try {
      reply({ result: this.methods[method]?.(params) ?? null });
    } catch (error) {
      reply({ error: { code: -32602, message: (error as Error).message } });
    }
  }

  #send(message: object): void {
    if (this.#over === undefined)
      this.output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  /** Calls a method of the other side. @throws Error when it says no, or the conversation is over */
  call(method: string, params: unknown): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ id, method, params });
    });
  }

  /** Ends it; whoever waits for an answer gets `why`. */
  close(why: Error): void {
    this.#over ??= why;
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
  }
}
