import { Command } from 'commander';
import { ertacache } from '../../cache/ertacache';
import { none } from '../../cache/none';
import { defaultPolicy } from '../../calibration/find-policy';
import { fidelityOf, type Score, score } from '../../calibration/measure';
import { policySettings } from '../../calibration/policy-data';
import { PolicyError } from '../../errors';
import { renderSheet, type SheetRow } from '../../media/sheet';
import { mediaFormat, writeMedia } from '../../media/write';
import { DEFAULT_MODEL, loadModel } from '../../pipelines/load';
import type { Pipeline } from '../../pipelines/pipeline';
import { type RunResult, runRequest } from '../../pipelines/sample';
import { startBackend } from '../backend';
import { interruptible } from '../interrupt';
import { stepLine } from '../progress';

/** None of them is in the set that the shipped policies were calibrated on; a test watches over that. */
export const DEMO_PROMPTS = [
  'rocket',
  'frowning face',
  'guitar',
  'zebra',
  'soft ice cream',
  'automobile',
  'key',
  'cookie',
];
const DEMO_SEED = 100;

interface Compared {
  readonly prompt: string;
  readonly plain: RunResult;
  readonly cached: RunResult;
  readonly likeness: Score;
}

/** `ertacache demo`: the embedded model, cached beside uncached, on one sheet. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('draw a sheet of pictures, cached beside uncached, with speed-up and likeness')
    .option('--out <file>', 'the sheet to write', 'samples/demo.png')
    .action(async (options: { out: string }, command: Command) => {
      mediaFormat(options.out);
      const engine = await startBackend(command);
      await interruptible(async signal => {
        const pipeline = await loadModel(DEFAULT_MODEL);
        try {
          await drawSheet(pipeline, options.out, engine.label, signal);
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
  await compare(DEMO_PROMPTS[0] as string);
  for (const prompt of DEMO_PROMPTS) rows.push(await compare(prompt));

  const plainSeconds = sum(rows.map(r => r.plain.seconds));
  const cachedSeconds = sum(rows.map(r => r.cached.seconds));
  const forwards = rows[0]!.cached.forwards;
  const likeness = fidelityOf(rows.map(r => r.likeness));
  await writeMedia(
    out,
    await renderSheet({
      title: `${info.id}: ${steps} steps, ${steps} against ${forwards} forward passes`,
      subtitle: `${rows[0]!.cached.schedule}   # computed   . reused`,
      columns: rows.map(r => r.prompt),
      rows: [
        row(
          'every step computed',
          `${plainSeconds.toFixed(1)} s`,
          rows,
          r => r.plain,
          r => `${r.plain.seconds.toFixed(2)} s`,
        ),
        row(
          'ertacache',
          `${cachedSeconds.toFixed(1)} s`,
          rows,
          r => r.cached,
          r => `${r.likeness.psnr.toFixed(1)} dB`,
        ),
      ],
      footer: `guidance ${guidance} · seed ${DEMO_SEED} · ${engine} · ertacache demo`,
      cell: 128,
    }),
  );
  console.log(`schedule   ${rows[0]!.cached.schedule}`);
  console.log(`forwards   ${steps} -> ${forwards}  (${(steps / forwards).toFixed(2)}× fewer)`);
  console.log(
    `time       ${plainSeconds.toFixed(2)} s -> ${cachedSeconds.toFixed(2)} s  (${(plainSeconds / cachedSeconds).toFixed(2)}× faster)`,
  );
  console.log(`PSNR       mean ${likeness.psnr.mean.toFixed(1)} dB, worst ${likeness.psnr.min.toFixed(1)} dB`);
  console.log(`SSIM       mean ${likeness.ssim.mean.toFixed(4)}, worst ${likeness.ssim.min.toFixed(4)}`);
  console.log(`wrote      ${out}`);

  async function compare(prompt: string): Promise<Compared> {
    const request = { prompts: [prompt], seeds: [DEMO_SEED], steps, guidance };
    const line = stepLine(prompt, 2 * steps);
    const onStep = (s: { decisions: readonly string[]; seconds: number }): void =>
      line.step(s.decisions.includes('compute'), s.seconds);
    try {
      const plain = await runRequest(pipeline, request, none(), { signal, onStep });
      const cached = await runRequest(pipeline, request, ertacache(policySettings(policy)), { signal, onStep });
      return { prompt, plain, cached, likeness: score(plain.media[0]!, cached.media[0]!) };
    } finally {
      line.stop();
    }
  }
}

function row(
  header: string,
  note: string,
  all: readonly Compared[],
  pick: (r: Compared) => RunResult,
  caption: (r: Compared) => string,
): SheetRow {
  return { header, note, images: all.map(r => pick(r).media[0]!), captions: all.map(caption) };
}

async function shippedPolicy(pipeline: Pipeline) {
  const { info } = pipeline;
  const { steps, guidance } = info.defaults;
  const job = await pipeline.prepare({ prompts: [''], seeds: [0], steps, guidance });
  const { sigmas } = job;
  job.release();
  const policy = await defaultPolicy({ model: info, scheduler: info.schedulerClass, guidance, sigmas });
  if (policy) return policy;
  throw new PolicyError(`No shipped policy fits ${info.id}.`, {
    hint: 'Install ertacache again, or make a policy with `ertacache calibrate`.',
  });
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
