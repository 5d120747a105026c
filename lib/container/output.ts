import type { Readable } from 'node:stream';

/** A piece of what a program has written. */
export interface OutputChunk {
  kind: 'stdout' | 'stderr';
  data: Buffer;
}

/**
 * Several streams as one iterable, each piece when it comes. It reads no further than it is asked:
 * a consumer that stops makes the program wait. Leaving the loop early destroys the streams.
 * @param left is aborted when it is left, perhaps while a piece is waited for
 */
export async function* interleave(
  streams: Readonly<Record<OutputChunk['kind'], Readable | null>>,
  left: AbortSignal,
): AsyncGenerator<OutputChunk, void, undefined> {
  const destroy = () => {
    for (const stream of Object.values(streams)) stream?.destroy();
  };
  left.addEventListener('abort', destroy);
  const sources = new Map<OutputChunk['kind'], AsyncIterator<Buffer>>();
  for (const kind of ['stdout', 'stderr'] as const) {
    const stream = streams[kind];
    if (stream !== null) sources.set(kind, stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>);
  }
  const next = (kind: OutputChunk['kind']) => {
    const step = Promise.resolve(sources.get(kind)?.next());
    const read = step.then((step) => ({ kind, step }));
    // Whoever is busy with a piece hears of it later; and nobody does, once this is left.
    read.catch(() => {});
    return read;
  };
  const pending = new Map([...sources.keys()].map((kind) => [kind, next(kind)]));
  try {
    while (pending.size > 0) {
      const { kind, step } = await Promise.race(pending.values());
      if (step === undefined || step.done) {
        pending.delete(kind);
        continue;
      }
      pending.set(kind, next(kind));
      yield { kind, data: step.value };
    }
  } finally {
    destroy();
  }
}
