import type { Container } from '../container/container.js';
import { createContainer } from '../container/create.js';
import { internalsOf } from '../container/internals.js';
import type { ParkedProgram } from '../parked.js';
import type { PoolContainerOptions } from './options.js';
import type { Maker } from './stock.js';

/** A container of a pool, and the program that waits in it. */
export interface Member {
  readonly container: Container;
  readonly parked: ParkedProgram;
}

/** Containers that are created, given a parked program, and ended after one use. */
export function memberMaker(options: PoolContainerOptions): Maker<Member> {
  return {
    async make(signal) {
      const container = await createContainer({ ...options, signal });
      // What waits for nobody does not keep this process alive.
      container.unref();
      try {
        return { container, parked: await internalsOf(container).programs.park() };
      } catch (error) {
        await container[Symbol.asyncDispose]();
        throw error;
      }
    },
    end: ({ container }) => container[Symbol.asyncDispose](),
    died: (member) => Promise.race([gone(member), member.parked.died]),
    gone,
  };
}

function gone({ container }: Member): Promise<void> {
  return container.wait().then(nothing, nothing);
}

function nothing(): void {}
