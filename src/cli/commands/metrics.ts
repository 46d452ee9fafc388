import { Command, Option } from 'commander';
import { ErtaError, ShapeError } from '../../errors';
import { readMedia } from '../../media/read';
import {
  type CompareOptions,
  compareMedia,
  type Likeness,
  type LpipsForm,
  type SsimForm,
} from '../../metrics/compare-media';
import { createLpips } from '../../metrics/lpips';
import { readLpipsWeights } from '../../metrics/lpips-weights';
import { type FilePair, pairFiles } from '../../metrics/pair-files';
import { type Interval, meanInterval } from '../../metrics/statistics';
import { startBackend } from '../backend';
import { print, tell } from '../say';

interface Options {
  ssim: SsimForm;
  lpips?: string | undefined;
  lpipsForm: LpipsForm;
  json: boolean;
}

interface Row extends Likeness {
  name: string;
}

/** `ertacache metrics`: how alike two pictures, clips or folders of them are. */
export function metricsCommand(): Command {
  return new Command('metrics')
    .argument('<a>', 'the reference')
    .argument('<b>', 'what is compared with it')
    .addOption(new Option('--ssim <form>', 'whose SSIM').choices(['teacache', 'torchmetrics']).default('teacache'))
    .option('--lpips <weights>', 'compute LPIPS (AlexNet) with the weights in this .safetensors file')
    .addOption(new Option('--lpips-form <mean>', 'its mean').choices(['standard', 'spatial']).default('standard'))
    .option('--json', 'print JSON', false)
    .action(async (a: string, b: string, options: Options, command: Command) => {
      const { pairs, unmatched } = await pairFiles(a, b);
      const rows = await compareAll(pairs, options, command);
      for (const path of unmatched) tell(`${path} has no partner.\n`);
      print(options.json ? JSON.stringify(summary(rows, unmatched, options), null, 2) : table(rows, options));
    });
}

async function compareAll(pairs: readonly FilePair[], options: Options, command: Command): Promise<Row[]> {
  const { ssim, lpipsForm } = options;
  const weights = options.lpips === undefined ? undefined : await readLpipsWeights(options.lpips);
  if (weights) await startBackend(command);
  const lpips = weights && createLpips(weights);
  try {
    const rows: Row[] = [];
    for (const pair of pairs) rows.push({ name: pair.name, ...(await comparePair(pair, { ssim, lpips, lpipsForm })) });
    return rows;
  } finally {
    lpips?.dispose();
  }
}

async function comparePair({ name, a, b }: FilePair, options: CompareOptions): Promise<Likeness> {
  const [left, right] = [await readMedia(a), await readMedia(b)];
  try {
    return await compareMedia(left.pixels, right.pixels, options);
  } catch (error) {
    if (!ErtaError.isInstance(error) || error.code !== 'shape') throw error;
    throw new ShapeError(`${name}: ${error.message}`, { hint: error.hint, cause: error });
  }
}

const COLUMNS = ['psnr', 'ssim', 'lpips'] as const;

/** Mean and interval of each metric that was computed; undefined for LPIPS without weights. */
function means(rows: readonly Row[]): Record<(typeof COLUMNS)[number], Interval | undefined> {
  const of = (column: (typeof COLUMNS)[number]) => {
    const values = rows.flatMap(row => row[column] ?? []);
    return values.length > 0 ? meanInterval(values) : undefined;
  };
  return { psnr: of('psnr'), ssim: of('ssim'), lpips: of('lpips') };
}

function summary(rows: readonly Row[], unmatched: readonly string[], { ssim, lpips, lpipsForm }: Options): object {
  const protocol = { ssim, lpips: lpips === undefined ? 'no weights' : lpipsForm };
  return { protocol, rows, mean: means(rows), unmatched };
}

function table(rows: readonly Row[], { ssim, lpips, lpipsForm }: Options): string {
  const cells = rows.map(row => [row.name, ...COLUMNS.map(column => show(column, row[column]))]);
  if (rows.length > 1) {
    const intervals = means(rows);
    cells.push([`mean of ${rows.length}`, ...COLUMNS.map(column => show(column, intervals[column]?.mean))]);
    const reach = (interval?: Interval) => interval && interval.high - interval.mean;
    cells.push(['± at 95 %', ...COLUMNS.map(column => show(column, reach(intervals[column])))]);
    cells.push([
      'worst',
      show('psnr', Math.min(...rows.map(row => row.psnr))),
      show('ssim', Math.min(...rows.map(row => row.ssim))),
      show('lpips', lpips === undefined ? undefined : Math.max(...rows.map(row => row.lpips ?? 0))),
    ]);
  }
  const lines = [['', 'PSNR dB', 'SSIM', 'LPIPS'], ...cells];
  const widths = [0, 1, 2, 3].map(c => Math.max(...lines.map(line => line[c]!.length)));
  const aligned = lines.map(line =>
    line.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  '),
  );
  const length = rows.some(row => row.frames > 1) ? 'per frame, then the mean; ' : '';
  const distance = lpips === undefined ? 'pass --lpips WEIGHTS for LPIPS' : `LPIPS AlexNet, ${lpipsForm} mean`;
  return [...aligned, '', `${length}pixels in [0, 1]; SSIM as in ${ssim}; ${distance}`].join('\n');
}

function show(column: (typeof COLUMNS)[number], value: number | undefined): string {
  if (value === undefined) return 'no weights';
  return value.toFixed(column === 'psnr' ? 2 : 4);
}
