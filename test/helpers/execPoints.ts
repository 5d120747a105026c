import { closeSync, openSync } from 'node:fs';
import { untilGone } from '../../lib/follow.js';
import { launch } from '../../lib/launch.js';
import { compileLaunch } from '../../lib/program.js';
import { createSpecOf, newId, programSpecOf } from '../../lib/specOf.js';
import { programPoints, type StopPoint } from './stops.js';

/** Every point of `sleep 600` in a container that has a command, or has none. */
export async function execPoints(style: 'init' | 'join'): Promise<StopPoint[]> {
  const id = newId();
  const fd = openSync('/dev/null', 'r+');
  const fds = [fd, fd, fd];
  const options = style === 'join' ? { command: ['sleep', '600'] } : {};
  const container = await launch({ id, spec: createSpecOf(id, options), fds, lives: true });
  closeSync(fd);
  const program = { file: 'sleep', args: ['600'], options: {} };
  const spec = programSpecOf(container.inside.spec, program, 'exec');
  const { plan } = compileLaunch(container, { execId: newId(), spec, resources: {}, fds });
  container.kill();
  await untilGone(container);
  return programPoints(plan);
}
