import type { Comparison } from '../../../src/lab/compare/comparison';
import { enlarged, image } from '../../../src/media/pixels';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { goldenModel } from '../../cache/golden-job';

/** Tokens in rows and columns, each 2 × 2 pixels of three colours. */
const GRID = 4;

/** A pipeline over the small FLUX model of the golden cases: seeds are noise and text, prompts are only names. */
export function toyPipeline(): Pipeline {
  const golden = goldenModel();
  return {
    info: {
      id: 'toy',
      hash: 'a'.repeat(64),
      modelClass: 'FluxTransformer2DModel',
      schedulerClass: 'FlowMatchEulerDiscreteScheduler',
      parameters: 50_000,
      kind: 'image',
      defaults: { steps: 8, guidance: 1 },
      prompts: [],
    },
    textLoss: async () => [],
    schedule({ steps }) {
      const { sigmas, release } = golden.job({ seeds: [0], steps });
      release();
      return { sigmas };
    },
    prepare: async ({ seeds, steps }) => golden.job({ seeds: seeds.map(Number), steps }),
    async decode(latents) {
      const values = await latents.data<'float32'>();
      const size = 2 * GRID;
      const tokens = GRID * GRID * 12;
      return Array.from({ length: latents.shape[0] as number }, (_, b) => {
        const pixels = new Float32Array(size * size * 3);
        for (let i = 0; i < pixels.length; i++)
          pixels[i] = Math.min(1, Math.max(0, 0.5 + 0.2 * values[b * tokens + i]!));
        // Structural similarity asks for eleven pixels.
        return enlarged(image(pixels, size, size), 2);
      });
    },
    dispose: golden.dispose,
  };
}

/** A comparison of two methods at one budget with the PSNR values given. */
export function madeUp(
  psnr: Readonly<Record<string, readonly number[]>>,
  budgets: readonly number[] = [4],
): Comparison {
  const methods = Object.keys(psnr);
  const count = Object.values(psnr)[0]!.length;
  const evaluation = Array.from({ length: count }, (_, i) => ({ prompt: `prompt ${i} <b>&"`, seed: 100 + i }));
  return {
    format: 'ertacache-comparison',
    version: 3,
    state: 'complete',
    command: "ertacache compare --model 'a <b>'",
    started: '2026-01-02T03:04:05.000Z',
    machine: { cpu: 'a processor', threads: 2, gpus: [], memoryBytes: 8e9 },
    versions: { ertacache: '0.1.0', node: '20.0.0', tfjs: '4.22.0', engine: 'cpu' },
    parameters: 1e6,
    request: {
      model: { id: 'toy', hash: 'a'.repeat(64), class: 'Toy', scheduler: 'Euler' },
      backend: 'cpu',
      version: '0.1.0',
      steps: 8,
      guidance: 1,
      picture: {},
      kind: 'methods',
      methods,
      budgets: [...budgets],
      against: methods[0]!,
      calibration: [{ prompt: 'another', seed: 9000 }],
      evaluation,
      batch: 2,
      trials: 1,
      timed: 1,
      lpips: null,
      policies: [],
    },
    methods: methods.map(name => ({ name, title: name.toUpperCase(), summary: `What ${name} does.`, dynamic: false })),
    reference: {
      sigmas: Array.from({ length: 9 }, (_, i) => 1 - i / 8),
      changes: evaluation.map((_, pair) => [null, ...Array.from({ length: 7 }, (__, i) => 0.01 * (i + 1 + pair))]),
      seconds: evaluation.map(() => 1),
      flops: 8e9,
    },
    cells: budgets.flatMap(budget =>
      methods.map(method => ({
        method,
        budget,
        preparation: 0,
        sigmas: Array.from({ length: 9 }, (_, i) => 1 - i / 8),
        pairs: psnr[method]!.map(value => ({
          psnr: value,
          floatPsnr: value + 0.5,
          ssim: value / 100,
          computed: budget,
          forwards: budget,
          seconds: 0.5,
          schedule: '#'.repeat(budget) + '.'.repeat(8 - budget),
        })),
        cacheBytes: 100,
        flops: 4e9,
        timing: { uncached: [2, 2.2, 8], cached: [1, 1, 2] },
      })),
    ),
    refused: [],
  };
}
