// Creates a detached container in a process of its own, and says so; then ends, or waits for that.
import { once } from 'node:events';
import { Container, type CreateOptions, createContainer } from '../../lib/index.js';

const [what = '', json = '{}'] = process.argv.slice(2);

async function main(): Promise<void> {
  if (what === 'create' || what === 'stay') {
    const options = JSON.parse(json) as CreateOptions;
    const container = await createContainer({ ...options, detached: true });
    process.stdout.write(`${container.id} ${container.pid}\n`);
  }
  if (what === 'spawn') {
    const container = await Container.open(json);
    const child = container.spawn('sleep', ['1000'], { stdio: 'ignore' });
    await once(child, 'spawn');
    process.stdout.write(`${child.pid}\n`);
  }
  if (what !== 'create') setInterval(() => {}, 1000);
}

void main();
