import { dirname } from 'node:path';
import { checkpointsIn } from '../../draw/checkpoint-folder';
import { type Drawn, type DrawOptions, draw, repeat, runOf } from '../../draw/draw';
import { publicReceipt, type Receipt, receiptSchema } from '../../draw/receipt';
import type { FullRequest } from '../../draw/request';
import { runId } from '../../draw/run-id';
import type { Image } from '../../media/pixels';
import { readReceipt } from '../../media/receipt';
import { writeMedia } from '../../media/write';
import { policiesOnDisk } from '../../policy/on-disk';
import type { Pipeline } from '../../sampling/pipeline';
import { progressLine, stepLine, tellAbove } from '../progress';
import { print, tell } from '../say';
import { boundNote, discardedNote, outsideNote, stretchNote } from './notes';
import type { DrawnPair } from './pair-sheet';
import { type Preview, previewOf } from './preview';
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
  /** Steps between two checkpoints, where unfinished pictures are to be gone on with. */
  readonly checkpointEvery?: number | undefined;
}

/**
 * Draws a picture, writes it, and says so.
 * @returns the picture beside its uncached form, where pairs are wanted
 */
export async function drawTask(drawing: Drawing, task: Task, request: FullRequest): Promise<DrawnPair | undefined> {
  const { model, init, repeats, paired } = drawing;
  const { info } = model;
  const out = task.out ?? `${task.name}.${info.kind === 'clip' ? 'webp' : 'png'}`;
  const every = drawing.checkpointEvery;
  if (every !== undefined && !paired && !repeats && (await isDrawn(out, drawing, request))) {
    print(`${out}  was drawn before`);
    return undefined;
  }
  const { steps = info.defaults.steps } = request;
  const preview = drawing.preview === undefined ? undefined : previewOf(drawing.preview, steps, info.fps);
  const checkpoint = every === undefined ? undefined : checkpointsIn({ folder: dirname(out), every });
  const watched: Watched = { ...drawing, preview, checkpoint };
  const plain = paired
    ? await withProgress(watched, request, options =>
        draw(
          {
            ...request,
            ...{ policy: 'none', forwards: undefined, speedup: undefined, psnr: undefined },
            guarantee: undefined,
          },
          options,
        ),
      )
    : undefined;
  const drawn = await withProgress(watched, request, options =>
    repeats ? repeat(repeats, options) : draw(request, options),
  );
  const { media, receipt, schedule, forwards, seconds } = drawn;
  await writeMedia(out, media, { receipt: publicReceipt(receipt), ...(info.fps !== undefined && { fps: info.fps }) });
  await preview?.finish(media);
  if (drawn.outside) tell(outsideNote(request.prompt));
  if (drawn.discarded) tell(discardedNote(request.prompt, drawn.discarded));
  const stretched = init && stretchNote(init, media);
  if (stretched) process.stderr.write(stretched);
  for (const each of [drawn, plain]) await each?.forget();
  print(`${out}  ${schedule}  ${forwards} of ${schedule.length} forwards, ${seconds.toFixed(2)} s${boundNote(drawn)}`);
  return plain && pairOf(request, drawn, plain);
}

/** Whether a file holds the very picture of a request. */
async function isDrawn(out: string, { model, init }: Drawing, request: FullRequest): Promise<boolean> {
  const receipt = receiptSchema.safeParse(await readReceipt(out).catch(() => undefined));
  if (!receipt.success) return false;
  return runId(receipt.data) === (await runOf(request, { model, init, policies: policiesOnDisk }));
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

/** A drawing with what one picture of it has of its own. */
interface Watched extends Omit<Drawing, 'preview'>, Pick<DrawOptions, 'checkpoint'> {
  readonly preview: Preview | undefined;
}

/** One run with its progress: the steps, then the decoder where that takes long. */
async function withProgress(
  { model, init, signal, preview, checkpoint }: Watched,
  { prompt }: FullRequest,
  work: (options: DrawOptions) => Promise<Drawn>,
): Promise<Drawn> {
  const line = stepLine(prompt);
  let decoding: ReturnType<typeof progressLine> | undefined;
  try {
    return await work({
      model,
      policies: policiesOnDisk,
      ...(init && { init }),
      signal,
      checkpoint,
      onResume(done) {
        for (const step of done) line.step(step);
        const steps = done[0]?.steps ?? 0;
        tellAbove(done.length < steps ? `goes on at step ${done.length + 1}\n` : 'all steps were computed before\n');
      },
      onStep(step) {
        // Steps after a decoding are those of another try.
        decoding?.stop();
        decoding = undefined;
        line.step(step);
      },
      onDecode(done, total) {
        if (!decoding) line.stop();
        decoding ??= progressLine('decoding', total);
        decoding.update(done);
      },
      ...(preview && { previews: preview }),
    });
  } finally {
    line.stop();
    decoding?.stop();
  }
}
