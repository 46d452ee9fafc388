import type * as tf from '@tensorflow/tfjs-core';
import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { rowDistances, rowNorms } from '../../calibration/rehearsal';

/** Computes every step and notes how much the guided output changes from step to step. */
export interface ChangeWatch {
  readonly policy: CachePolicy;
  /**
   * `|v_i - v_before|₁ / |v_before|₁` of every row, `[row][step]`; null at the first step. Call it when the run is over.
   */
  changes(): Promise<(number | null)[][]>;
}

export function watchChanges(): ChangeWatch {
  /** `[step][row]` */
  const steps: Promise<(number | null)[]>[] = [];
  const computes = none();
  return {
    policy: {
      ...computes,
      begin(run) {
        let before: tf.Tensor | undefined;
        return {
          branch: () => computes.begin(run).branch(),
          correct(_step, _sample, { value }) {
            steps.push(before ? relativeRows(value, before) : Promise.resolve(nothing(value)));
            before?.dispose();
            before = value.clone();
            return value.clone();
          },
          dispose: () => before?.dispose(),
        };
      },
    },
    async changes() {
      const table = await Promise.all(steps);
      return (table[0] ?? []).map((_, row) => table.map(step => step[row] ?? null));
    },
  };
}

const nothing = (output: tf.Tensor): null[] => Array<null>(output.shape[0] as number).fill(null);

async function relativeRows(now: tf.Tensor, before: tf.Tensor): Promise<number[]> {
  // Own handles: by the time that the values are read, the run has disposed its own.
  const [a, b] = [now.clone(), before.clone()];
  const [distances, norms] = [await rowDistances(a, b), await rowNorms(b)];
  a.dispose();
  b.dispose();
  return distances.map((d, row) => d / (norms[row] as number));
}
