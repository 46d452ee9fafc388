import { Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { given } from '../../io/given';
import { benchDecode, type DecodeReport } from '../../lab/timing/bench-decode';
import { type BenchReport, benchModel } from '../../lab/timing/bench-model';
import { benchSample, type SampleReport } from '../../lab/timing/bench-sample';
import { presetNames } from '../../models/presets';
import { type ComputeType, requireComputeType } from '../../nn/bfloat16';
import { atSize } from '../../sampling/at-size';
import { startBackend } from '../backend';
import { type Subject, schedulerOf, subjectOf } from '../bench/subject';
import { decodeLine, sampleLines, transformerLines } from '../bench/text';
import { dtypeOption } from '../dtype-option';
import { numberBetween, wholeNumber } from '../parse';
import { pictureRequest } from '../picture-options';

const PARTS = ['transformer', 'decode', 'sample'] as const;
type Part = (typeof PARTS)[number];

interface Options {
  model: string;
  synthetic: boolean;
  offload: boolean;
  dtype: ComputeType;
  variant?: string | undefined;
  parts: readonly Part[];
  width?: number | undefined;
  height?: number | undefined;
  frames?: number | undefined;
  maxSequenceLength?: number | undefined;
  batch: number;
  blocks?: number | undefined;
  runs: number;
  steps?: number | undefined;
  policyShare: number;
  json: boolean;
}

/** What was timed; a part that was not asked for is missing. */
interface Reports {
  transformer?: BenchReport;
  decode?: DecodeReport;
  sample?: SampleReport;
}

/** `ertacache bench`: how fast a model runs here, and how much caching saves. */
export function benchCommand(): Command {
  return new Command('bench')
    .requiredOption('--model <name>', `a model's folder, or with --synthetic one of ${presetNames().join(', ')}`)
    .option('--synthetic', 'take made-up weights of the published size', false)
    .option('--parts <list>', `what to time, of ${PARTS.join(', ')}`, partList, ['transformer'])
    .option('--offload', 'leave the blocks of a folder on disk, one in memory at a time', false)
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--transformer <file>', "a .gguf or .safetensors file in place of the folder's transformer")
    .addOption(dtypeOption())
    .option('--width <pixels>', "width of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--height <pixels>', "height of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--frames <n>', "frames of a clip (default: the model's)", wholeNumber(1, MOST.frames))
    .option('--max-sequence-length <n>', "tokens of text (default: the model's)", wholeNumber(1, MOST.tokens))
    .option('--batch <n>', "rows of the batch of the transformer's forward pass", wholeNumber(1, MOST.rows), 1)
    .option('--blocks <n>', 'with --synthetic: at most so many blocks of every kind', wholeNumber(1, MOST.layers))
    .option('--runs <n>', 'how often to time; the median counts', wholeNumber(1, MOST.trials), 3)
    .option(
      '--steps <n>',
      'also time whole runs of so many steps, cached and uncached in turns',
      wholeNumber(2, MOST.steps),
    )
    .option(
      '--policy-share <share>',
      'part of the steps that a uniform schedule reuses, at least one of them',
      numberBetween(0.01, 0.99),
      0.5,
    )
    .option('--json', 'print JSON', false)
    .exitOverride()
    .action(async (options: Options, command: Command) => {
      if (command.getOptionValueSource('batch') === 'cli' && !options.parts.includes('transformer')) {
        throw new UsageError('--batch counts rows of a forward pass, and --parts leaves out the transformer.', {
          hint: 'Omit --batch, or add transformer to --parts.',
        });
      }
      const subject = await subjectOf(options);
      const backend = await startBackend(command);
      requireComputeType(options.dtype);
      const reports = await timeParts(subject, options);
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      const { model, synthetic, dtype, json } = options;
      if (json) {
        const { transformer, ...others } = reports;
        console.log(
          JSON.stringify({ model, synthetic, backend: backend.label, dtype, ...transformer, ...others }, null, 2),
        );
      } else {
        const heading = `${model} on ${backend.label}${synthetic ? ', made-up weights' : ''}, ${dtype}`;
        console.log([heading, ...reportLines(reports)].join('\n'));
      }
    });
}

function partList(text: string): Part[] {
  const parts = text.split(',').map(part => part.trim());
  const unknown = parts.find(part => !PARTS.includes(part as Part));
  if (unknown === undefined) return parts as Part[];
  throw new InvalidArgumentError(`"${unknown}" is none of ${PARTS.join(', ')}.`);
}

async function timeParts(subject: Subject, options: Options): Promise<Reports> {
  const {
    parts,
    width,
    height,
    frames,
    maxSequenceLength: textTokens,
    batch,
    runs,
    steps,
    policyShare: share,
  } = options;
  const demand = { ...subject.demand, ...given({ width, height, frames, textTokens }) };
  const onProgress = (what: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
  };
  const reports: Reports = {};
  // Each part's weights are gone before the next are loaded.
  if (parts.includes('transformer')) {
    reports.transformer = await benchModel(subject.transformer, subject.published, {
      demand,
      rows: batch,
      dtype: options.dtype,
      runs,
      ...(steps !== undefined && {
        comparison: { steps, share, scheduler: schedulerOf(subject.published.className) },
      }),
      onProgress,
    });
  }
  if (parts.includes('decode')) {
    reports.decode = await benchDecode(subject.autoencoder, { size: subject.size(demand), runs, onProgress });
  }
  if (parts.includes('sample')) {
    const pipeline = await subject.pipeline();
    try {
      reports.sample = await benchSample(atSize(pipeline, pictureRequest(options)), { runs, steps, share, onProgress });
    } finally {
      pipeline.dispose();
    }
  }
  return reports;
}

function reportLines({ transformer, decode, sample }: Reports): string[] {
  return [
    ...(transformer ? transformerLines(transformer) : []),
    ...(decode ? [decodeLine(decode)] : []),
    ...(sample ? sampleLines(sample) : []),
  ];
}
