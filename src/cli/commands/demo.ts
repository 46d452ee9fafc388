import { Command } from 'commander';
import { fidelityOf, runBeside, type Score, score } from '../../calibration/measure';
import { splitPairs } from '../../calibration/pairs';
import { PolicyError } from '../../errors';
import { requireRoom } from '../../media/encode';
import { frames, type Image, joinFrames } from '../../media/pixels';
import { requireRate } from '../../media/rate';
import { renderSheet } from '../../media/sheet';
import { mediaFormat, requireMediaWritable, writeMedia } from '../../media/write';
import { mean } from '../../metrics/statistics';
import { writtenPsnr } from '../../metrics/video';
import { DEFAULT_MODEL } from '../../pipelines/default-model';
import { loadModel } from '../../pipelines/load';
import { usualThreads } from '../../pipelines/usual-threads';
import type { Policy } from '../../policy/data';
import { defaultPolicy } from '../../policy/on-disk';
import type { Pipeline } from '../../sampling/pipeline';
import type { RunResult } from '../../sampling/run-job';
import { startBackend } from '../backend';
import { interruptible } from '../interrupt';
import { stepLine } from '../progress';

/**
 * What is drawn of the models that ship with ertacache. None of it is in the sets that their policies were calibrated
 * on; a test watches over that.
 */
const DEMO_PROMPTS: Readonly<Record<string, readonly string[]>> = {
  'fluent-emoji-video': ['ghost', 'butterfly', 'lion', 'helicopter', 'rainbow', 'sailboat', 'blue heart', 'penguin'],
  'fluent-emoji': ['rocket', 'frowning face', 'guitar', 'zebra', 'soft ice cream', 'automobile', 'key', 'cookie'],
};
const OTHER_PROMPTS = 6;
const DEMO_SEED = 100;

/** What the demo draws of a model; where it has no list, prompts of the part that calibration never sees. */
export function demoPrompts({ id, prompts }: Pick<Pipeline['info'], 'id' | 'prompts'>): readonly string[] {
  return DEMO_PROMPTS[id] ?? splitPairs(prompts, 1, OTHER_PROMPTS).evaluation.map(p => p.prompt);
}

interface Compared {
  readonly prompt: string;
  readonly plain: RunResult;
  readonly cached: RunResult;
  readonly likeness: Score;
}

/** `ertacache demo`: the embedded model, cached beside uncached, on one sheet. */
export function demoCommand(): Command {
  return new Command('demo')
    .option(
      '--model <folder>',
      "a model folder, owner/name from the hub's cache, or the name of one that ships with ertacache",
      DEFAULT_MODEL,
    )
    .option(
      '--out <file>',
      'the sheet to write; a file of that name is replaced (default: samples/demo.png, samples/demo.webp for clips)',
    )
    .action(async (options: { model: string; out?: string }, command: Command) => {
      await requireMediaWritable(options.out ?? 'samples/demo.png');
      const engine = await startBackend(command, { threads: await usualThreads(options.model) });
      await interruptible(async signal => {
        const pipeline = await loadModel(options.model);
        try {
          const { kind, size, fps } = pipeline.info;
          const out = options.out ?? (kind === 'clip' ? 'samples/demo.webp' : 'samples/demo.png');
          requireRoom(mediaFormat(out), kind === 'image' ? 1 : size?.frames);
          requireRate(mediaFormat(out), fps);
          await drawSheet(pipeline, out, engine.label, signal);
        } finally {
          pipeline.dispose();
        }
      });
    });
}

async function drawSheet(pipeline: Pipeline, out: string, engine: string, signal: AbortSignal): Promise<void> {
  const { info } = pipeline;
  const { steps, guidance } = info.defaults;
  const policy = await shippedPolicy(pipeline);
  const rows: Compared[] = [];
  // The first run of all compiles and allocates; it is drawn but not timed.
  const prompts = demoPrompts(info);
  await compare(prompts[0] as string);
  for (const prompt of prompts) rows.push(await compare(prompt));

  const plainSeconds = sum(rows.map(r => r.plain.seconds));
  const cachedSeconds = sum(rows.map(r => r.cached.seconds));
  const forwards = rows[0]!.cached.forwards;
  const likeness = fidelityOf(rows.map(r => r.likeness));
  const sheetOf = (frame: number): Promise<Image> =>
    renderSheet({
      title: `${info.id}: ${steps} steps, ${steps} against ${forwards} forward passes`,
      subtitle: `${rows[0]!.cached.schedule}   # computed   . reused`,
      columns: rows.map(r => r.prompt),
      rows: [
        {
          header: 'every step computed',
          note: `${plainSeconds.toFixed(1)} s`,
          images: rows.map(r => frames(r.plain.media[0]!)[frame]!),
          captions: rows.map(r => `${r.plain.seconds.toFixed(2)} s`),
        },
        {
          header: 'ertacache',
          note: `${cachedSeconds.toFixed(1)} s`,
          images: rows.map(r => frames(r.cached.media[0]!)[frame]!),
          captions: rows.map(r => `${r.likeness.psnr.toFixed(1)} dB`),
        },
      ],
      footer: `guidance ${guidance} · seed ${DEMO_SEED} · ${engine} · ertacache demo`,
      cell: 128,
    });
  const count = frames(rows[0]!.plain.media[0]!).length;
  const sheets: Image[] = [];
  for (let frame = 0; frame < count; frame++) sheets.push(await sheetOf(frame));
  // A clip's sheet moves: one sheet a frame.
  await writeMedia(out, count === 1 ? sheets[0]! : joinFrames(sheets), info.fps === undefined ? {} : { fps: info.fps });
  console.log(`schedule   ${rows[0]!.cached.schedule}`);
  console.log(`forwards   ${steps} -> ${forwards}  (${(steps / forwards).toFixed(2)}× fewer)`);
  console.log(
    `time       ${plainSeconds.toFixed(2)} s -> ${cachedSeconds.toFixed(2)} s  (${(plainSeconds / cachedSeconds).toFixed(2)}× faster)`,
  );
  console.log(`PSNR       mean ${likeness.psnr.mean.toFixed(1)} dB, worst ${likeness.psnr.min.toFixed(1)} dB`);
  if (count > 1) {
    const perFrame = rows.map(r => writtenPsnr(r.plain.media[0]!, r.cached.media[0]!));
    const at = (i: number): string => mean(perFrame.map(p => p[i]!)).toFixed(1);
    console.log(`frames     PSNR of the first ${at(0)} dB, of the last ${at(count - 1)} dB`);
  }
  console.log(`SSIM       mean ${likeness.ssim.mean.toFixed(4)}, worst ${likeness.ssim.min.toFixed(4)}`);
  console.log(`wrote      ${out}`);

  async function compare(prompt: string): Promise<Compared> {
    const request = { prompts: [prompt], seeds: [DEMO_SEED], steps, guidance };
    const line = stepLine(prompt);
    try {
      const { uncached, cached } = await runBeside(pipeline, request, policy, { signal, onStep: line.step });
      return { prompt, plain: uncached, cached, likeness: score(uncached.media[0]!, cached.media[0]!) };
    } finally {
      line.stop();
    }
  }
}

async function shippedPolicy(pipeline: Pipeline): Promise<Policy> {
  const { info } = pipeline;
  const { steps, guidance } = info.defaults;
  const { sigmas } = pipeline.schedule({ steps, guidance });
  const policy = await defaultPolicy({ model: info, scheduler: info.schedulerClass, guidance, sigmas });
  if (policy) return policy;
  throw new PolicyError(`No shipped policy fits ${info.id}.`, {
    hint: 'Install ertacache again, or make a policy with `ertacache calibrate`.',
  });
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
