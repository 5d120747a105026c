import { Command } from 'commander';
import type { ContainerInfo } from '../index.js';
import { action, eachContainer, withContainer } from './containers.js';
import { plainNumbers, print } from './output.js';

async function inspect(words: string[]): Promise<number> {
  const found = new Map<string, ContainerInfo>();
  const code = await eachContainer(words, (word) =>
    withContainer(word, async (box) => {
      found.set(word, box.inspect());
      return undefined;
    }),
  );
  const infos = words.flatMap((word) => found.get(word) ?? []);
  await print(`${JSON.stringify(infos, plainNumbers, 4)}\n`);
  return code;
}

/** `ringfort inspect`. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Print all that is known of containers, as a JSON array')
    .argument('<container...>', 'ids, or beginnings of ids')
    .action(action(inspect));
}
