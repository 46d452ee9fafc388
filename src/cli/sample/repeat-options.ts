import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { type Receipt, requestOf } from '../../draw/receipt';
import type { FullRequest } from '../../draw/request';
import { UsageError } from '../../errors';
import type { LoraPath } from '../../weights/lora/on-disk';

/** Options that say where things are, how they are run and what is written; the receipt has all others. */
const BESIDE_FROM: ReadonlySet<string> = new Set([
  ...['from', 'out', 'outDir', 'sheet', 'preview', 'saveEmbeddings', 'offload'],
  ...['resume', 'checkpointEvery'],
  ...['model', 'transformer', 'transformer2', 'lora', 'lora2', 'init', 'embeddings'],
]);

/** @throws UsageError for an option whose value the receipt has: it would be passed over in silence */
export function requireRepeatable(command: Command, from: string): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (BESIDE_FROM.has(name) || command.getOptionValueSource(name) !== 'cli') continue;
    throw new UsageError(`--from repeats the run of ${from} as it was, and ${option.long} is given as well.`, {
      hint: `Omit ${option.long}, or draw a new picture without --from.`,
    });
  }
}

/** What may have been moved since a picture was made. */
interface Moved {
  readonly model?: string | undefined;
  readonly transformer?: string | undefined;
  readonly transformer2?: string | undefined;
  readonly init?: string | undefined;
  readonly embeddings?: string | undefined;
  readonly lora?: readonly LoraPath[] | undefined;
  readonly lora2?: readonly LoraPath[] | undefined;
}

/**
 * The request of a receipt, of which some files may have been moved.
 * @throws UsageError for a file that the run had not
 */
export function repeated(receipt: Receipt, from: string, moved: Moved): FullRequest {
  const request = requestOf(receipt);
  const { model, lora, lora2 } = moved;
  const at = <T extends { readonly path: string }>(own: T | undefined, path: string | undefined, option: string) => {
    if (path === undefined) return {};
    if (own) return { ...own, path };
    throw new UsageError(`${from} was made without ${option}.`, { hint: `Omit ${option}.` });
  };
  const { loras = [] } = request;
  const [firsts, seconds] = [loras.filter(({ component }) => !component), loras.filter(({ component }) => component)];
  requireAll(from, '--lora', lora, firsts);
  requireAll(from, '--lora-2', lora2, seconds);
  const placeOf = (own: Lora): string =>
    (own.component ? lora2?.[seconds.indexOf(own)] : lora?.[firsts.indexOf(own)])?.path ?? besides(from, own.path);
  const files = {
    transformer: at(request.transformer, moved.transformer, '--transformer'),
    transformer2: at(request.transformer2, moved.transformer2, '--transformer-2'),
    init: at(request.init, moved.init, '--init'),
    embeddings: at(request.embeddings, moved.embeddings, '--embeddings'),
  };
  const placed = Object.fromEntries(Object.entries(files).filter(([, file]) => Object.keys(file).length > 0));
  return {
    ...request,
    ...placed,
    ...(model !== undefined && { model }),
    ...(request.loras && { loras: loras.map(own => ({ ...own, path: placeOf(own) })) }),
  };
}

type Lora = NonNullable<FullRequest['loras']>[number];

/** @throws UsageError where not all LoRAs are named that the run had in this transformer, or with other scales */
function requireAll(
  from: string,
  option: string,
  named: readonly LoraPath[] | undefined,
  loras: readonly Lora[],
): void {
  if (!named) return;
  if (named.length !== loras.length) {
    throw new UsageError(`${from} was made with ${loras.length} LoRAs, and ${option} names ${named.length}.`, {
      hint: `Give where all of them are now, in the order of the receipt, or omit ${option}.`,
    });
  }
  const scaled = named.find(({ scale }, i) => scale !== undefined && scale !== 1 && scale !== loras[i]?.scale);
  if (!scaled) return;
  throw new UsageError(`${from} was made with other scales of its LoRAs than ${scaled.path}:${scaled.scale}.`, {
    hint: 'Omit the scale: --from takes those of the receipt.',
  });
}

/** A file of which a picture tells the name alone: beside the picture, where it is there. */
function besides(picture: string, name: string): string {
  const beside = join(dirname(picture), name);
  return !existsSync(name) && existsSync(beside) ? beside : name;
}
