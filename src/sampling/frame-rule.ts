import { UsageError } from '../errors';

/** Which numbers of frames a model draws. */
export interface FrameRule {
  /** How errors call the model. */
  readonly model: string;
  /** In words, after "draws". */
  readonly says: string;
  /** @param frames a whole number from 1 on */
  allows(frames: number): boolean;
}

/** One and every `step`-th after it: the first frame stands alone in the latent, and each further one for `step`. */
export function onePlus(step: number, model: string): FrameRule {
  return { model, says: `1 + a multiple of ${step} frames`, allows: frames => (frames - 1) % step === 0 };
}

/** A model of single pictures. */
export function onePicture(model: string): FrameRule {
  return { model, says: 'single pictures', allows: frames => frames === 1 };
}

/** How far the next number of frames is looked for. */
const REACH = 1000;

/**
 * Refuses what would come out with more frames than were asked for, or fewer, or not at all: the one place where that
 * is decided, for runs and for estimates of their work.
 * @throws UsageError naming the next numbers of frames that can be drawn
 */
export function requireFrames(frames: number, { model, says, allows }: FrameRule): void {
  const isCount = Number.isInteger(frames) && frames >= 1;
  if (isCount && allows(frames)) return;
  const from = Number.isFinite(frames) ? Math.max(0, Math.floor(frames)) : 0;
  const offsets = Array.from({ length: REACH }, (_, i) => i);
  const below = offsets.map(i => from - i).find(n => n >= 1 && allows(n));
  const above = offsets.map(i => from + 1 + i).find(allows);
  const near = [below, above].filter(n => n !== undefined);
  throw new UsageError(`${model} draws ${says}; ${frames} were asked for.`, {
    // Every model draws one.
    hint: `Take ${near.join(' or ') || 1} frames.`.replace('Take 1 frames', 'Take 1 frame'),
  });
}
