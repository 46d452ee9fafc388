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
  ...['model', 'transformer', 'lora', 'init', 'embeddings'],
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
  readonly init?: string | undefined;
  readonly embeddings?: string | undefined;
  readonly lora?: readonly LoraPath[] | undefined;
}

/**
 * The request of a receipt, of which some files may have been moved.
 * @throws UsageError for a file that the run had not
 */
export function repeated(receipt: Receipt, from: string, moved: Moved): FullRequest {
  const request = requestOf(receipt);
  const { model, lora } = moved;
  const at = <T extends { readonly path: string }>(own: T | undefined, path: string | undefined, option: string) => {
    if (path === undefined) return {};
    if (own) return { ...own, path };
    throw new UsageError(`${from} was made without ${option}.`, { hint: `Omit ${option}.` });
  };
  const loras = request.loras ?? [];
  if (lora && lora.length !== loras.length) {
    throw new UsageError(`${from} was made with ${loras.length} LoRAs, and --lora names ${lora.length}.`, {
      hint: 'Give where all of them are now, in the order of the receipt, or omit --lora.',
    });
  }
  const scaled = lora?.find(({ scale }, i) => scale !== undefined && scale !== 1 && scale !== loras[i]?.scale);
  if (scaled) {
    throw new UsageError(`${from} was made with other scales of its LoRAs than ${scaled.path}:${scaled.scale}.`, {
      hint: 'Omit the scale: --from takes those of the receipt.',
    });
  }
  const files = {
    transformer: at(request.transformer, moved.transformer, '--transformer'),
    init: at(request.init, moved.init, '--init'),
    embeddings: at(request.embeddings, moved.embeddings, '--embeddings'),
  };
  const placed = Object.fromEntries(Object.entries(files).filter(([, file]) => Object.keys(file).length > 0));
  return {
    ...request,
    ...placed,
    ...(model !== undefined && { model }),
    ...(request.loras && {
      loras: loras.map((own, i) => ({ ...own, path: lora?.[i]?.path ?? besides(from, own.path) })),
    }),
  };
}

/** A file of which a picture tells the name alone: beside the picture, where it is there. */
function besides(picture: string, name: string): string {
  const beside = join(dirname(picture), name);
  return !existsSync(name) && existsSync(beside) ? beside : name;
}
