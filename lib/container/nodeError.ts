import { ContainerError, errnoName } from '../errors.js';

/** What child_process says of a program or `cwd` that is not there, so that its callers find what they look for. */
export function asNodeSays(error: unknown, file: string, args: readonly string[]): Error {
  if (!(error instanceof ContainerError)) return error as Error;
  const code = {
    ERR_PROGRAM_NOT_FOUND: 'ENOENT',
    ERR_PROGRAM_NOT_EXECUTABLE: 'EACCES',
    ERR_CWD: 'ENOENT',
  }[error.code];
  if (code === undefined) return error;
  const name = error.errno === undefined ? code : errnoName(error.errno);
  const said = new Error(`spawn ${file} ${name}`, { cause: error });
  const facts = { errno: error.errno, code: name, syscall: `spawn ${file}` };
  return Object.assign(said, facts, { path: file, spawnargs: [...args] });
}
