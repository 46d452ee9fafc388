import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic';
import { disk } from '../io/fs';
import { ioError } from '../io/node-file';
import { systemCode } from '../io/system-error';
import type { CheckpointStore } from '../sampling/checkpoint';

/** Where checkpoints are kept as files. */
export interface CheckpointFolder {
  /** Made where it is missing. */
  readonly folder: string;
  /** Steps between two checkpoints; 5 by default. */
  readonly every?: number | undefined;
}

/** Checkpoints as files of a folder, one for each run: `RUN.checkpoint.safetensors`. */
export function checkpointsIn({ folder, every }: CheckpointFolder): CheckpointStore {
  const place = (run: string): string => join(folder, `${run}.checkpoint.safetensors`);
  return {
    every,
    async read(run) {
      try {
        return await readFile(place(run));
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return undefined;
        throw ioError(place(run), error);
      }
    },
    write: (run, bytes) => writeFileAtomic(place(run), bytes),
    async remove(run) {
      await disk.unlink(place(run)).catch(error => {
        if (systemCode(error) !== 'ENOENT') throw error;
      });
    },
  };
}
