import { join } from 'node:path';
import type { PictureOptions } from '../picture-options';
import type { QueuePlace } from '../queue-options';

/** What `ertacache compare` can be asked. */
export interface CompareOptions extends PictureOptions, QueuePlace {
  readonly model: string;
  readonly methods?: readonly string[] | undefined;
  readonly budgets?: readonly number[] | undefined;
  readonly pairs: number;
  readonly calibrationPairs: number;
  readonly steps?: number | undefined;
  readonly guidance?: number | undefined;
  readonly against?: string | undefined;
  readonly policy: readonly string[];
  readonly prompts?: string | undefined;
  readonly batch: number;
  readonly mixture: number;
  readonly trials: number;
  readonly worstWeight?: number | undefined;
  readonly timedPairs: number;
  readonly lpips?: string | undefined;
  readonly ablation: boolean;
  readonly out?: string | undefined;
  readonly add: boolean;
  readonly force: boolean;
  readonly json: boolean;
  readonly markdown: boolean;
}

/** Where the comparison lies. */
export function folderOf({ out, ablation }: CompareOptions): string {
  return out ?? join('samples', ablation ? 'ablation' : 'compare');
}
