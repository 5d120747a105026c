import { LauncherClient } from '../../lib/launcher/launcher.js';
import type { Plan } from '../../lib/plan/steps.js';
import { decodePlan } from '../escape/decodePlan.js';

/** The plans that are sent meanwhile: of containers, and of programs and their releases. */
export async function sentBy(
  body: () => Promise<unknown>,
): Promise<{ containers: Plan[]; programs: Plan[] }> {
  const containers: Plan[] = [];
  const programs: Plan[] = [];
  const face = LauncherClient.prototype;
  const { launch, exec, unpark } = face;
  face.launch = function (plan, fds, ...rest) {
    containers.push(decodePlan(plan, fds));
    return launch.call(this, plan, fds, ...rest);
  };
  face.exec = function (container, plan, fds, ...rest) {
    programs.push(decodePlan(plan, fds));
    return exec.call(this, container, plan, fds, ...rest);
  };
  face.unpark = function (id, plan, fds, ...rest) {
    programs.push(decodePlan(plan, fds));
    unpark.call(this, id, plan, fds, ...rest);
  };
  try {
    await body();
    return { containers, programs };
  } finally {
    Object.assign(face, { launch, exec, unpark });
  }
}
