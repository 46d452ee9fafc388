import type { CachePolicy } from '../../cache/policy';
import { batches } from '../../calibration/pairs';
import { runCost } from '../../calibration/tune-threshold';
import { asWritten, type Media } from '../../media/pixels';
import { compareMedia } from '../../metrics/compare-media';
import { levelDifference } from '../../metrics/levels';
import type { Lpips } from '../../metrics/lpips';
import { psnr } from '../../metrics/psnr';
import { mean } from '../../metrics/statistics';
import { perFrame } from '../../metrics/video';
import { type RunResult, runJob } from '../../sampling/run-job';
import type { PairResult } from './comparison';
import { differenceName, pictureName } from './names';
import { type PairRuns, prepare } from './reference-runs';
import type { Store } from './store';

/** What running a method on all pairs shows. */
export interface Measured {
  readonly pairs: PairResult[];
  readonly sigmas: number[];
  readonly cacheBytes: number;
}

export interface MeasureOptions {
  readonly policy: CachePolicy;
  /** Decides on a batch as one, so that pairs have to run alone. */
  readonly dynamic: boolean;
  /** The cell's name, for its pictures. */
  readonly name: string;
  readonly lpips?: Lpips | undefined;
  /** Which of all pairs the first is; the first of all unless given. */
  readonly from?: number | undefined;
  /** The uncached picture of a pair, by its number among all. */
  readonly reference: (index: number) => Promise<Media>;
}

/** Runs a method on every evaluation pair, compares its pictures with the uncached ones and keeps them. */
export async function measureCell(store: Store, runs: PairRuns, options: MeasureOptions): Promise<Measured> {
  const { from = 0 } = options;
  const size = options.dynamic ? 1 : runs.batch;
  const pairs: PairResult[] = [];
  let sigmas: number[] = [];
  let cacheBytes = 0;
  for (const group of batches(runs.evaluation, size)) {
    const job = await prepare(runs, group);
    try {
      const result = await runJob(runs.pipeline, job, options.policy, {
        ...(runs.signal && { signal: runs.signal }),
        onStep: step => runs.onPasses(step.forwards * group.length),
      });
      for (const media of result.media) pairs.push(await judge(store, options, from + pairs.length, media, result));
      sigmas = [...result.steps.map(s => s.sigma), result.steps.at(-1)?.sigmaNext ?? 0];
      cacheBytes = Math.max(cacheBytes, ...result.steps.map(s => s.cacheBytes / group.length));
    } finally {
      job.release();
    }
  }
  return { pairs, sigmas, cacheBytes };
}

async function judge(
  store: Store,
  { name, lpips, reference }: MeasureOptions,
  index: number,
  media: Media,
  result: RunResult,
): Promise<PairResult> {
  const uncached = await reference(index);
  const likeness = await compareMedia(asWritten(uncached), asWritten(media), lpips && { lpips });
  await store.keepPicture(pictureName(name, index), media);
  await store.keepDifference(differenceName(name, index), uncached, media);
  return {
    psnr: likeness.psnr,
    floatPsnr: mean(perFrame(psnr, uncached, media)),
    ssim: likeness.ssim,
    ...(likeness.lpips !== undefined && { lpips: likeness.lpips }),
    levels: levelDifference(uncached, media),
    computed: runCost(result.steps).computed,
    forwards: result.forwards,
    seconds: result.seconds / result.media.length,
    schedule: result.schedule,
  };
}
