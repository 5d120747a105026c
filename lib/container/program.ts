import { addIoLimits } from '../cgroups/index.js';
import type { Launched, RunnableSpec } from '../launch.js';
import type { ParkedProgram } from '../parked.js';
import { launchProgram, type StartedProgram } from '../program.js';
import { programRecipeOf } from '../programRecipe.js';
import { ioByPath, resourcesOfProgram } from '../spec/limits.js';
import { type Program, programSpec } from '../spec/program.js';
import { programSpecOf } from '../specOf.js';
import type { Stdio } from '../stdio.js';
import { beginTrace } from '../trace.js';

/** Starts a program that has been checked. */
export type StartProgram = (
  container: Launched,
  stdio: Stdio,
  signal: AbortSignal,
  parked: ParkedProgram | undefined,
) => Promise<StartedProgram>;

/** One more program: what it is called, and by which call it came. */
export interface ProgramCall extends Program {
  execId: string;
  kind: 'exec' | 'spawn';
}

/**
 * Everything about one more program that can be decided before its streams are opened.
 * @throws InvalidSpecError for a wrong option, before anything is created
 */
export function prepareProgram(
  container: Launched,
  { execId, kind, ...program }: ProgramCall,
): StartProgram {
  beginTrace(execId);
  const recipe = programRecipeOf(container, program, kind);
  const spec = recipe?.spec ?? programSpecOf(container.inside.spec, program, kind);
  const { limits = {} } = program.options;
  const resources = addIoLimits(resourcesOfProgram(limits), ioByPath(limits));
  return (running, stdio, signal, parked) => {
    const input = {
      execId,
      spec,
      resources,
      cpuTime: program.options.limits?.cpuTime,
      fds: stdio.fds,
      onSent: stdio.sent,
      onPty: stdio.terminal,
      signal,
      recipe,
    };
    return parked?.release(input) ?? launchProgram(running, input);
  };
}

/** A program of which nothing is known yet but whose it will be. */
export function parkedSpec(container: RunnableSpec): RunnableSpec {
  return programSpec(container, { file: 'parked', args: [], options: {} });
}
