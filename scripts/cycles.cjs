// Cycles of containers, as whoever calls it and, for root, again as an ordinary user, who may not look
// at his launcher: root does it for him. Arguments are those of dist/test/helpers/cycles.js.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');
const { asOrdinaryUser, ordinaryUser, root, run } = require('./userPass.cjs');

const command = (at) => [
  process.execPath,
  '--expose-gc',
  join(at, 'dist/test/helpers/cycles.js'),
  ...process.argv.slice(2),
];

async function watched(file, args, options) {
  const { viewLauncher } = await import(join(root, 'dist/test/helpers/launcherView.js'));
  const child = spawn(file, args, { ...options, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  child.on('message', (pid) => child.send(viewLauncher(pid)));
  const [status] = await once(child, 'exit');
  return { status };
}

async function main() {
  const first = run(command(root));
  if (process.getuid() !== 0) return first;
  console.log(`\nagain as user ${ordinaryUser().uid}, with cgroups of its own:`);
  const { status } = await asOrdinaryUser(command, { start: watched });
  return first || (status ?? 1);
}

main().then((status) => {
  process.exitCode ||= status;
});
