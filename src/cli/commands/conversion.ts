import { type Command, Option } from 'commander';
import { UnsupportedError } from '../../errors';
import { openAtOptions } from '../../pipelines/open';
import { type Conversion, SHARD_BYTES } from '../../weights/convert';
import type { OpenAtOptions } from '../../weights/disk';
import type { TargetType } from '../../weights/manifest';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../parse';
import { bytesText, countText } from './units';

/** Options of every command that writes a converted model. */
export interface ConversionOptions {
  dtype: TargetType;
  variant?: string | undefined;
  transformer?: string | undefined;
  config?: string | undefined;
  shardBytes: number;
  force: boolean;
}

/** What {@link convertModel} and its like are told beside the options. */
interface Watched {
  readonly signal: AbortSignal;
  readonly onProgress: ((share: number) => void) | undefined;
}

export function withConversionOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--dtype <type>', 'how values are stored').choices(['float32', 'float16', 'uint8']).default('float16'),
    )
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--transformer <file>', "a .gguf or .safetensors file in place of the folder's transformer")
    .option('--config <file>', 'the config.json of a single .safetensors or .gguf file')
    .addOption(new Option('--lora <file>').argParser(refuseLora).hideHelp())
    .option('--shard-bytes <n>', 'size of a shard file', wholeNumber(1, Number.MAX_SAFE_INTEGER), SHARD_BYTES)
    .option('--force', 'replace a converted model that is there already', false);
}

/** @throws UnsupportedError always */
function refuseLora(): never {
  throw new UnsupportedError('A LoRA is merged when a model is loaded, not when it is converted.', {
    hint: 'Convert the model alone, and give --lora to sample.',
  });
}

/** How the options want a model opened. */
export function openingOf({ variant, config, transformer }: ConversionOptions): Promise<OpenAtOptions> {
  return openAtOptions({ variant, config, ...(transformer !== undefined && { transformer: { path: transformer } }) });
}

/** Runs a conversion, stoppable by Ctrl-C and with its progress shown. @returns what was written, in words */
export async function watchedConversion(
  dtype: TargetType,
  work: (watched: Watched) => Promise<Conversion>,
): Promise<string> {
  const { tensors, parameters, bytes, shards } = await interruptible(signal =>
    work({ signal, onProgress: progress() }),
  );
  const amount = `${countText(tensors, 'tensor')}, ${countText(parameters, 'value')}`;
  return `${amount}, ${bytesText(bytes)} of ${dtype} in ${countText(shards, 'shard')}`;
}

/** Draws the share that is done on a terminal, and nothing elsewhere. */
function progress(): ((share: number) => void) | undefined {
  if (!process.stderr.isTTY) return undefined;
  let shown = -1;
  return share => {
    const percent = Math.floor(share * 100);
    if (percent === shown) return;
    shown = percent;
    process.stderr.write(percent === 100 ? '\r\x1b[K' : `\rconverting ${percent} %`);
  };
}
