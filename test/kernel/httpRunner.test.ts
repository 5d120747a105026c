import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { cgroups, command, inUsr, suite } from '../helpers/needs.js';

/** What runs in the page sees its document; so much of that is looked at here. */
declare const document: {
  querySelector(selector: 'canvas'): {
    width: number;
    height: number;
    dataset: Record<string, string | undefined>;
    getContext(kind: '2d'): {
      getImageData(x: number, y: number, width: number, height: number): { data: Uint8Array };
    };
  };
  querySelector(selector: string): { textContent: string };
};

let server: ChildProcess;
let origin: string;

async function startServer(): Promise<void> {
  const file = fileURLToPath(new URL('../../examples/http-runner/server.js', import.meta.url));
  server = spawn(process.execPath, [file], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(server.stdout as Readable, 'data');
  origin = String(line).trim();
}

async function stopServer(): Promise<void> {
  const ended = once(server, 'exit');
  server.kill();
  expect(await ended).toEqual([0, null]);
}

/** Containers of the server that live, by its own account. */
async function live(): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  return Number(/^ringfort_containers_live (\d+)$/m.exec(text)?.[1]);
}

/** Until a condition holds; the test's own time limit is the only one. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}

suite('the page of the HTTP runner', [cgroups, inUsr('python3'), command('chromium')], () => {
  let profile: string;
  let browser: BrowserContext;
  let page: Page;
  let trouble: string[];

  beforeAll(async () => {
    profile = mkdtempSync(join(tmpdir(), 'ringfort-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: '/usr/bin/chromium',
      args: [
        ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ],
      viewport: { width: 1280, height: 800 },
    });
    await startServer();
  });
  afterAll(async () => {
    await browser.close();
    await stopServer();
    rmSync(profile, { recursive: true, maxRetries: 5 });
  });
  beforeEach(async () => {
    trouble = [];
    page = await browser.newPage();
    page.on('pageerror', ({ message }) => trouble.push(message));
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    page.on('dialog', (dialog) => {
      trouble.push(dialog.message());
      void dialog.dismiss();
    });
    await page.goto(origin);
  });
  afterEach(async () => {
    expect(trouble).toEqual([]);
    await page.close();
  });

  const output = () => page.locator('#output').textContent();
  const status = () => page.locator('#status').textContent();
  async function run(language: string, code: string): Promise<void> {
    await page.selectOption('#language', language);
    await page.fill('#code', code);
    await page.click('#run');
  }
  const ended = () => page.waitForSelector('#status:not([data-state=running])');

  test('runs what was typed and says how it ended', async () => {
    await page.fill('#code', '');
    await page.selectOption('#language', 'shell');
    await page.fill('#code', '');
    await page.locator('#code').pressSequentially('echo out; echo err >&2; exit 3');
    await page.keyboard.press('Control+Enter');
    await ended();
    expect((await output())?.split('\n').sort()).toEqual(['', 'err', 'out']);
    expect(await page.locator('#output .stderr').textContent()).toBe('err\n');
    expect(await status()).toMatch(/^exited with 3 · \d+\.\d s$/);
    expect(await page.isEnabled('#run')).toBe(true);
  });

  test('shows output while the program runs, and stops it', async () => {
    expect(await page.isDisabled('#stop')).toBe(true);
    await run('python', 'import time\nprint("first")\ntime.sleep(600)');
    await page.waitForFunction(() => document.querySelector('#output').textContent === 'first\n');
    expect(await status()).toBe('running');
    expect(await page.isDisabled('#run')).toBe(true);
    expect(await live()).toBe(1);
    await page.click('#stop');
    await ended();
    expect(await status()).toMatch(/^stopped · /);
    expect(await output()).toBe('first\n');
    await until(async () => (await live()) === 0);
  });

  test('takes output for text, whatever it is', async () => {
    const attack =
      '<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>&lt;\u2028"\'</pre>';
    await run('python', `print(${JSON.stringify(attack)})`);
    await ended();
    expect(await output()).toBe(`${attack}\n`);
    expect(await page.locator('#output :not(span)').count()).toBe(0);
  });

  test('draws memory and CPU while the program runs', async () => {
    // Colours of the two lines, found in what was drawn.
    const drawn = () =>
      page.evaluate(() => {
        const canvas = document.querySelector('canvas');
        const { data } = canvas
          .getContext('2d')
          .getImageData(70, 20, canvas.width - 130, canvas.height - 50);
        let [blue, orange] = [0, 0];
        for (let i = 0; i < data.length; i += 4) {
          const [r = 0, , b = 0, a = 0] = data.subarray(i, i + 4);
          if (a < 200) continue;
          if (b > r + 60) blue++;
          if (r > b + 60) orange++;
        }
        return { blue: blue > 50, orange: orange > 50 };
      });
    expect(await drawn()).toEqual({ blue: false, orange: false });
    const busy =
      'keep = bytearray(60 << 20)\nkeep[::4096] = bytes(len(keep[::4096]))\nprint("full")\nwhile True: pass';
    await run('python', busy);
    await page.waitForFunction(() => Number(document.querySelector('canvas').dataset.points) > 5);
    expect(await status()).toBe('running');
    expect(await drawn()).toEqual({ blue: true, orange: true });
    await page.waitForFunction(
      () => Number.parseFloat(document.querySelector('#memory').textContent) >= 60,
    );
    await page.click('#stop');
    await ended();
    expect(await page.locator('#memory').textContent()).toMatch(/^[6-9]\d MiB peak$/);
  });

  test.each([
    ['python', 'x = bytearray(b"x" * (300 << 20))', /^stopped: out of memory · /],
    ['shell', 'yes', /^stopped: too much output · /],
    ['shell', 'for i in $(seq 100); do sleep 600 & done', /^failed at the limit of processes · /],
    ['shell', 'kill -9 $$', /^killed by a signal · /],
  ])('says which limit ended it: %s %s', async (language, code, said) => {
    await run(language, code);
    await ended();
    expect(await status()).toMatch(said);
  });
});

suite('the service of the HTTP runner', [cgroups], () => {
  beforeAll(startServer);
  afterAll(stopServer);

  const post = (body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(`${origin}/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal && { signal }),
    });
  const events = async (response: Response) =>
    (await response.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; text?: string; reason?: string });

  test('streams events, one JSON a line', async () => {
    const code = 'printf "\\303\\251"; id -u; sleep 1';
    const all = await events(await post({ language: 'shell', code }));
    const kinds = all.map(({ type }) => type);
    expect([kinds[0], kinds.at(-1)]).toEqual(['start', 'end']);
    expect(kinds).toContain('stats');
    const text = all.flatMap((event) => (event.type === 'stdout' ? [event.text] : [])).join('');
    expect(text).toBe('é0\n');
    expect(all.at(-1)).toMatchObject({ reason: 'exit', exitCode: 0 });
  });

  test('what is left in the background ends with the program', async () => {
    const all = await events(await post({ language: 'shell', code: 'sleep 600 & echo done' }));
    expect(all.at(-1)).toMatchObject({ reason: 'exit', exitCode: 0 });
  });

  test('a client that leaves takes its container with it', async () => {
    const leave = new AbortController();
    const response = await post({ language: 'shell', code: 'sleep 600' }, {}, leave.signal);
    await response.body?.getReader().read();
    await until(async () => (await live()) === 1);
    leave.abort();
    await until(async () => (await live()) === 0);
  });

  test('a client that does not read makes the program wait, and nobody else', async () => {
    const leave = new AbortController();
    const lazy = await post({ language: 'shell', code: 'yes' }, {}, leave.signal);
    expect(lazy.status).toBe(200);
    const all = await events(await post({ language: 'shell', code: 'echo still served' }));
    expect(all.some(({ text }) => text === 'still served\n')).toBe(true);
    leave.abort();
    await until(async () => (await live()) === 0);
  });

  test('refuses what it should', async () => {
    const good = { language: 'shell', code: 'true' };
    const statuses = [
      post(good, { 'content-type': 'text/plain' }),
      post('{'),
      post('null'),
      post({ ...good, language: 'constructor' }),
      post({ ...good, code: 'a\0b' }),
      post({ ...good, code: 'x'.repeat(1 << 17) }),
      post(good, { 'sec-fetch-site': 'cross-site' }),
      fetch(`${origin}/runs/no-such-run`, { method: 'DELETE' }),
      fetch(`${origin}/../../etc/passwd`),
    ].map(async (response) => (await response).status);
    expect(await Promise.all(statuses)).toEqual([415, 400, 400, 400, 400, 413, 403, 404, 404]);
    // By another name, as a page of somebody else's would after it has changed its DNS.
    const rebound = request(origin, { headers: { host: 'evil.example' } }).end();
    const [response] = await once(rebound, 'response');
    expect(response.statusCode).toBe(421);
    response.resume();
  });

  test('runs so many at once and no more', async () => {
    const leave = new AbortController();
    const code = 'sleep 600';
    const held = Array.from({ length: 4 }, () =>
      post({ language: 'shell', code }, {}, leave.signal),
    );
    await Promise.all(held);
    expect((await post({ language: 'shell', code: 'true' })).status).toBe(503);
    leave.abort();
    await until(async () => (await live()) === 0);
  });
});
