import type { Command } from 'commander';
import { describeChoice, selectBackend } from '../engine/select';
import type { BackendRequest, EngineChoice } from '../engine/types';
import type { GlobalOptions } from './global-options';

/**
 * Starts the backend that the command line asks for and says on stderr which it is.
 * @param usual how many threads it computes with where the command line does not say
 */
export async function startBackend(command: Command, usual?: { threads?: number | undefined }): Promise<EngineChoice> {
  const { backend, verbose, threads = usual?.threads } = command.optsWithGlobals<GlobalOptions>();
  const choice = await selectBackend(backend as BackendRequest, { verbose, threads });
  process.stderr.write(`${describeChoice(choice, verbose)}\n`);
  return choice;
}
