// A plug-in with bad intentions; its argument says which.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';

const say = (message) => console.log(JSON.stringify({ jsonrpc: '2.0', ...message }));

/** What it can get hold of: the host's secrets, processes, network. */
async function loot() {
  const attempt = (steal) => {
    try {
      return steal();
    } catch ({ code }) {
      return code;
    }
  };
  const online = await new Promise((resolve) => {
    createConnection(53, '1.1.1.1')
      .on('connect', () => resolve('connected'))
      .on('error', ({ code }) => resolve(code));
  });
  return {
    shadow: attempt(() => readFileSync('/etc/shadow', 'utf8')),
    secrets: Object.keys(process.env),
    home: attempt(() => readdirSync('/home')),
    processes: readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length,
    code: attempt(() => writeFileSync('/plugin/shout.mjs', 'mine')),
    online,
  };
}

const ways = {
  spy: async (id) => say({ id, result: await loot() }),
  refuse: (id) => say({ id, error: { code: 1, message: 'I will not' } }),
  exit: () => process.exit(7),
  hang: () => {
    for (;;);
  },
  memory: () => {
    const hoard = [];
    for (;;) hoard.push(Buffer.alloc(1 << 20, 1));
  },
  fork: () => {
    for (let i = 0; i < 1000; i++) spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
  },
  flood: () => {
    const spam = 'x'.repeat(1 << 16);
    const pour = () => process.stdout.write(spam, pour);
    pour();
  },
  chatter: () => {
    for (let i = 0; i < 10_000; i++) say({ method: 'nothing', params: i });
  },
  forge: () => say({ id: '__proto__', result: 'to a question of somebody else' }),
  garbage: () => console.log('{"jsonrpc": '),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  if (method !== undefined) ways[process.argv[2]](id);
}
