// The smallest program: one command in a container, and what is known about it afterwards.
//   node dist/examples/hello.js
import { run } from 'ringfort';

const { stdout, exitCode, usage, isolation } = await run('sh', [
  '-c',
  'echo "hello from $(hostname), pid $$, uid $(id -u)"',
]);

process.stdout.write(stdout);
console.log(`exit code ${exitCode}, ${usage.cpuTimeMs.toFixed(1)} ms of CPU`);
console.log(`walls: ${isolation.enforced.join(', ')}`);
for (const { wall, why } of isolation.missing) console.log(`not there: ${wall} (${why})`);
