import { Command, InvalidArgumentError, Option } from 'commander';
import { convertModel, SHARD_BYTES } from '../../weights/convert';
import type { TargetType } from '../../weights/manifest';
import { knownTables } from './known-tables';
import { bytesText, countText } from './units';

interface Options {
  dtype: TargetType;
  variant?: string;
  config?: string;
  shardBytes: number;
  force: boolean;
  unchecked: boolean;
}

/** `ertacache convert`: a checkpoint into the form that tfjs reads. */
export function convertCommand(): Command {
  return new Command('convert')
    .description('convert a checkpoint into tfjs form: model.json and weight shards')
    .argument('<source>', 'a model folder, a pipeline folder, a converted model or a .safetensors file')
    .argument('<out>', 'the folder to write')
    .addOption(
      new Option('--dtype <type>', 'how values are stored').choices(['float32', 'float16', 'uint8']).default('float16'),
    )
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--config <file>', 'the config.json of a single .safetensors file')
    .option('--shard-bytes <n>', 'size of a shard file', positiveInteger, SHARD_BYTES)
    .option('--force', 'replace a converted model that is there already', false)
    .option('--unchecked', 'also take model classes that ertacache does not know', false)
    .exitOverride()
    .action(async (source: string, out: string, { variant, config, ...options }: Options) => {
      const stop = new AbortController();
      const onSignal = () => stop.abort();
      process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
      try {
        const { signal } = stop;
        const settings = { ...options, variant, config, signal, tableOf: knownTables, onProgress: progress() };
        const { tensors, parameters, bytes, shards } = await convertModel(source, out, settings);
        const amount = `${countText(tensors, 'tensor')}, ${countText(parameters, 'value')}`;
        console.log(
          `wrote ${out}: ${amount}, ${bytesText(bytes)} of ${options.dtype} in ${countText(shards, 'shard')}`,
        );
      } finally {
        process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      }
    });
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

function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
