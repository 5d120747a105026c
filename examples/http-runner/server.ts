// An HTTP service that runs code that people send, each piece in a fresh container, and streams
// back what it prints; with a page to try it.
//   PORT=8080 node dist/examples/http-runner/server.js
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from 'ringfort';
import { languages, limits, type RunEvent, runCode } from './run.js';

const maxBody = 64 << 10;
const maxRuns = 4;
const page = readFileSync(
  new URL('../../../examples/http-runner/page.html', import.meta.url),
  'utf8',
);

/** The runs that go on, by their id. */
const runs = new Map<string, AbortController>();

/** An answer that is not a run. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Everything that the request may be wrong in. @throws Refusal */
async function submission(request: IncomingMessage): Promise<{ language: string; code: string }> {
  if (request.headers['content-type'] !== 'application/json')
    throw new Refusal(415, 'JSON, please');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBody) throw new Refusal(413, `more than ${maxBody} bytes`);
    chunks.push(chunk);
  }
  let body: { language?: unknown; code?: unknown } | null;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new Refusal(400, 'this is no JSON');
  }
  const { language, code } = body ?? {};
  if (typeof language !== 'string' || !Object.hasOwn(languages, language))
    throw new Refusal(400, `language: one of ${Object.keys(languages).join(', ')}`);
  if (typeof code !== 'string' || code.includes('\0')) throw new Refusal(400, 'code: a text');
  return { language, code };
}

/** POST /runs: the events of a run, one JSON a line, until its end. */
async function startRun(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const submitted = await submission(request);
  if (runs.size >= maxRuns) throw new Refusal(503, 'too many runs at once, try again');
  const id = randomUUID();
  const stop = new AbortController();
  runs.set(id, stop);
  // A client that leaves has no use for the rest.
  response.on('close', () => stop.abort());
  const send = async (event: RunEvent) => {
    if (response.destroyed || response.write(`${JSON.stringify(event)}\n`)) return;
    await Promise.race([once(response, 'drain'), once(response, 'close')]);
  };
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  try {
    await send({ type: 'start', id, limits });
    await runCode(submitted, send, stop.signal);
  } finally {
    runs.delete(id);
    response.end();
  }
}

/** DELETE /runs/<id>: stops it; its stream says so. */
function stopRun(id: string, response: ServerResponse): void {
  const run = runs.get(id);
  if (run === undefined) throw new Refusal(404, 'no such run');
  run.abort();
  response.writeHead(204).end();
}

function sendPage(response: ServerResponse): void {
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ];
  for (const kind of ['script', 'style']) policy.push(`${kind}-src 'nonce-${nonce}'`);
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy.join('; '),
  });
  response.end(page.replaceAll('{{nonce}}', nonce));
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '/', headers } = request;
  // Pages of other origins must not have their visitors' browsers run code here, by whatever name.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? '')) throw new Refusal(421, 'who?');
  if (!['same-origin', 'none', undefined].includes(headers['sec-fetch-site'] as string | undefined))
    throw new Refusal(403, 'from another site');
  if (method === 'GET' && url === '/') sendPage(response);
  else if (method === 'POST' && url === '/runs') await startRun(request, response);
  else if (method === 'DELETE' && url.startsWith('/runs/')) stopRun(url.slice(6), response);
  else if (method === 'GET' && url === '/metrics')
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metrics());
  else throw new Refusal(404, 'nothing here');
}

const server = createServer((request, response) => {
  response.setHeader('x-content-type-options', 'nosniff');
  answer(request, response).catch((error: unknown) => {
    const { status, message } =
      error instanceof Refusal ? error : { status: 500, message: 'sorry' };
    if (!(error instanceof Refusal)) console.error(error);
    if (response.headersSent) response.destroy();
    else
      response
        .writeHead(status, { 'content-type': 'text/plain', connection: 'close' })
        .end(message);
  });
});

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

/** Stops what runs, and waits until it has. */
process.once('SIGTERM', () => {
  server.close();
  for (const run of runs.values()) run.abort();
  server.closeIdleConnections();
});
