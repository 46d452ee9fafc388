import { type FullRequest, parseRequest } from '../../draw/request';
import type { BudgetOptions } from '../budget-options';
import { type PictureOptions, pictureRequest, weightFiles } from '../picture-options';
import type { Task } from './tasks';

/** Options of `sample` that say what is drawn. */
export interface RequestOptions extends PictureOptions, BudgetOptions {
  readonly model?: string | undefined;
  readonly policy: string;
  readonly steps?: number | undefined;
  readonly guidance?: number | undefined;
  readonly scale: number;
  readonly init?: string | undefined;
  readonly strength: number;
  readonly embeddings?: string | undefined;
}

/** The request of a command line's task. */
export function requestOfTask(options: RequestOptions, { prompt, seed }: Pick<Task, 'prompt' | 'seed'>): FullRequest {
  const {
    model,
    policy,
    forwards,
    speedup,
    psnr,
    guarantee,
    steps,
    guidance,
    scale,
    init,
    strength,
    embeddings,
    vaeTiling,
    dtype,
    variant,
  } = options;
  return parseRequest({
    prompt,
    seed,
    model,
    policy,
    forwards,
    speedup,
    psnr,
    guarantee,
    steps,
    guidance,
    scale,
    dtype,
    variant,
    vaeTiling,
    ...weightFiles(options),
    ...pictureRequest(options),
    ...(init !== undefined && { init: { path: init, strength } }),
    ...(embeddings !== undefined && { embeddings: { path: embeddings } }),
  });
}
