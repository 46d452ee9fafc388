import { type Drawn, type DrawOptions, draw, repeat } from '../../draw/draw';
import type { Receipt } from '../../draw/receipt';
import type { FullRequest } from '../../draw/request';
import type { Image } from '../../media/pixels';
import { writeMedia } from '../../media/write';
import { policiesOnDisk } from '../../policy/on-disk';
import type { Pipeline } from '../../sampling/pipeline';
import { progressLine, stepLine } from '../progress';
import { print } from '../say';
import { stretchNote } from './notes';
import type { DrawnPair } from './pair-sheet';
import { previewOf } from './preview';
import type { Task } from './tasks';

/** What all pictures of a command share. */
export interface Drawing {
  readonly model: Pipeline;
  readonly init?: Image | undefined;
  readonly signal: AbortSignal;
  /** Whether every picture is drawn uncached as well. */
  readonly paired: boolean;
  /** File that shows a picture while it grows. */
  readonly preview?: string | undefined;
  /** The receipt of the picture that is repeated. */
  readonly repeats?: Receipt | undefined;
}

/**
 * Draws a picture, writes it, and says so.
 * @returns the picture beside its uncached form, where pairs are wanted
 */
export async function drawTask(drawing: Drawing, task: Task, request: FullRequest): Promise<DrawnPair | undefined> {
  const { model, init, repeats, paired } = drawing;
  const { info } = model;
  const out = task.out ?? `${task.name}.${info.kind === 'clip' ? 'webp' : 'png'}`;
  const plain = paired
    ? await withProgress(drawing, request, options => draw({ ...request, policy: 'none' }, options))
    : undefined;
  const drawn = await withProgress(drawing, request, options =>
    repeats ? repeat(repeats, options) : draw(request, options),
  );
  const { media, receipt, schedule, forwards, seconds } = drawn;
  const stretched = init && stretchNote(init, media);
  if (stretched) process.stderr.write(stretched);
  await writeMedia(out, media, { receipt, ...(info.fps !== undefined && { fps: info.fps }) });
  print(`${out}  ${schedule}  ${forwards} of ${schedule.length} forwards, ${seconds.toFixed(2)} s`);
  return plain && pairOf(request, drawn, plain);
}

function pairOf({ prompt, seed }: FullRequest, cached: Drawn, plain: Drawn): DrawnPair {
  return {
    prompt,
    seed,
    cached: cached.media,
    cachedForwards: cached.forwards,
    plain: plain.media,
    plainForwards: plain.forwards,
  };
}

/** One run with its progress: the steps, then the decoder where that takes long. */
async function withProgress(
  { model, init, signal, preview: previewPath }: Drawing,
  { prompt, steps = model.info.defaults.steps }: FullRequest,
  work: (options: DrawOptions) => Promise<Drawn>,
): Promise<Drawn> {
  const line = stepLine(prompt, steps);
  const preview = previewPath === undefined ? undefined : previewOf(previewPath, steps, model.info.fps);
  let decoding: ReturnType<typeof progressLine> | undefined;
  try {
    const drawn = await work({
      model,
      policies: policiesOnDisk,
      ...(init && { init }),
      signal,
      onStep: step => line.step(step.decisions.includes('compute'), step.seconds),
      onDecode(done, total) {
        if (!decoding) line.stop();
        decoding ??= progressLine('decoding', total);
        decoding.update(done);
      },
      ...(preview && { previews: preview }),
    });
    await preview?.finish(drawn.media);
    return drawn;
  } finally {
    line.stop();
    decoding?.stop();
  }
}
