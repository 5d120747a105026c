import {
  type Attributes,
  context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { DiagnosticEvent, DiagnosticMessage, DiagnosticNoun } from '../diagnostics.js';

/** Only what is known: the SDK warns of attributes that are undefined. */
function known(attributes: Record<string, string | number | undefined>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/process/ */
function describe({ containerId, execId, file, labels = {} }: DiagnosticMessage): Attributes {
  const own = Object.entries(labels).map(([key, value]) => [`container.label.${key}`, value]);
  return known({
    'container.id': containerId,
    'container.runtime.name': 'ringfort',
    'ringfort.exec.id': execId,
    'process.command': file,
    ...Object.fromEntries(own),
  });
}

/** One span for each container and program that is told of. */
export class Spans {
  readonly #open = new Map<object, Span>();
  readonly #containers = new Map<string, Span>();

  constructor(readonly tracer: Tracer) {}

  on(noun: DiagnosticNoun, event: DiagnosticEvent, message: DiagnosticMessage): void {
    if (event === 'create') {
      this.#begin(noun, message);
      return;
    }
    // What was created before we listened is not told half.
    const span = this.#open.get(message);
    if (span === undefined) return;
    if (event === 'start') {
      span.addEvent('started');
      span.setAttributes(known({ 'process.pid': message.pid }));
      return;
    }
    if (event === 'exit') result(span, message);
    else failure(span, message);
    span.end();
    this.#open.delete(message);
    if (this.#containers.get(message.containerId) === span)
      this.#containers.delete(message.containerId);
  }

  #begin(noun: DiagnosticNoun, message: DiagnosticMessage): void {
    const active = context.active();
    const container = noun === 'exec' ? this.#containers.get(message.containerId) : undefined;
    const called = trace.getSpan(active) !== undefined || container === undefined;
    const links = called && container !== undefined ? [{ context: container.spanContext() }] : [];
    const name = noun === 'exec' ? message.file : message.containerId;
    const span = this.tracer.startSpan(
      `ringfort.${noun} ${name}`,
      { kind: SpanKind.INTERNAL, attributes: describe(message), links },
      called ? active : trace.setSpan(active, container),
    );
    this.#open.set(message, span);
    if (noun === 'container') this.#containers.set(message.containerId, span);
  }

  /** Ends what is open. */
  end(): void {
    for (const span of this.#open.values()) span.end();
    this.#open.clear();
    this.#containers.clear();
  }
}

/** A program that fails is data; one that a limit or we ended did not do what it was to do. */
function result(span: Span, { result: ended }: DiagnosticMessage): void {
  if (ended === undefined) return;
  const { exitCode, signal, reason, usage } = ended;
  span.setAttributes(
    known({
      'process.exit.code': exitCode ?? undefined,
      'ringfort.exit.signal': signal ?? undefined,
      'ringfort.exit.reason': reason,
      'ringfort.usage.cpu_ms': usage.cpuTimeMs,
      'ringfort.usage.peak_memory_bytes': usage.peakMemoryBytes,
    }),
  );
  if (reason === 'exit' || reason === 'signal') return;
  span.setAttribute('error.type', reason);
  span.setStatus({ code: SpanStatusCode.ERROR, message: `ended by ${reason}` });
}

function failure(span: Span, { error }: DiagnosticMessage): void {
  if (error === undefined) return;
  const { code = error.name } = error as NodeJS.ErrnoException;
  span.recordException(error);
  span.setAttribute('error.type', String(code));
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}
