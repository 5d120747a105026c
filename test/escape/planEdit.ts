import { LauncherClient } from '../../lib/launcher/launcher.js';
import { encodePlan } from '../../lib/plan/encode.js';
import {
  type Op,
  type Plan,
  type Section,
  type Step,
  type StepOf,
  sections,
} from '../../lib/plan/steps.js';
import { decodePlan } from './decodePlan.js';

/** Takes a defence out of a compiled plan. */
export type PlanEdit = (plan: Plan) => Plan;

/**
 * Edits each plan on its way to the launcher while `body` runs: what a public call compiles is sent
 * without one of its defences. The only place where tests touch a plan; nothing in lib/ knows of it.
 */
export async function withPlanEdit<T>(
  edit: PlanEdit | undefined,
  body: () => Promise<T>,
): Promise<T> {
  if (edit === undefined) return body();
  const face = LauncherClient.prototype;
  const { launch, exec } = face;
  const edited = (bytes: Uint8Array, fds: readonly number[]) =>
    encodePlan(edit(decodePlan(bytes, fds)));
  face.launch = function (plan, fds, ...rest) {
    return launch.call(this, edited(plan, fds), fds, ...rest);
  };
  face.exec = function (container, plan, fds, ...rest) {
    return exec.call(this, container, edited(plan, fds), fds, ...rest);
  };
  try {
    return await body();
  } finally {
    Object.assign(face, { launch, exec });
  }
}

/** Several edits, one after the other. */
export function edits(...list: readonly PlanEdit[]): PlanEdit {
  return (plan) => list.reduce((sofar, edit) => edit(sofar), plan);
}

/** Replaces each step by what `change` makes of it. */
export function eachStep(change: (step: Step, section: Section) => readonly Step[]): PlanEdit {
  return (plan) => ({
    ...plan,
    ...Object.fromEntries(
      sections.map((name) => [name, plan[name].flatMap((step) => change(step, name))]),
    ),
  });
}

/** Leaves steps out. */
export function drop(unwanted: Op | ((step: Step) => boolean)): PlanEdit {
  const gone = typeof unwanted === 'string' ? (step: Step) => step.op === unwanted : unwanted;
  return eachStep((step) => (gone(step) ? [] : [step]));
}

/** Changes every step of one kind. */
export function alter<N extends Op>(op: N, change: (step: StepOf<N>) => StepOf<N>): PlanEdit {
  return eachStep((step) => [step.op === op ? (change(step as StepOf<N>) as Step) : step]);
}

/** Has a wall's absence accepted by the launcher. */
export function waive(...walls: readonly number[]): PlanEdit {
  return (plan) => ({ ...plan, waived: walls.reduce((all, one) => all | one, plan.waived) });
}

/** Puts steps into a section, before its first step of a kind. */
export function insertBefore(section: Section, op: Op, steps: readonly Step[]): PlanEdit {
  return (plan) => {
    const at = plan[section].findIndex((step) => step.op === op);
    const list = plan[section];
    return { ...plan, [section]: [...list.slice(0, at), ...steps, ...list.slice(at)] };
  };
}
