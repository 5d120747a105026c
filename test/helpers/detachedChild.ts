// Creates a detached container in a process of its own, and says so; then ends, or waits for that. With
// `try`, an error of ours is said, too.
import { once } from 'node:events';
import { Container, ContainerError, type CreateOptions, createContainer } from '../../lib/index.js';

const [what = '', json = '{}'] = process.argv.slice(2);

async function main(): Promise<void> {
  if (what !== 'spawn') {
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
  if (what === 'stay' || what === 'spawn') setInterval(() => {}, 1000);
}

main().catch((error) => {
  if (what !== 'try' || !(error instanceof ContainerError)) throw error;
  process.stdout.write(`${error.code}\n`);
});
