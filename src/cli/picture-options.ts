import { type Command, Option } from 'commander';
import { UsageError } from '../errors';
import { MOST } from '../io/counts';
import { given } from '../io/given';
import type { ComputeType } from '../nn/bfloat16';
import { type LoadModelOptions, loadModel } from '../pipelines/load';
import { atSize, type PictureRequest } from '../sampling/at-size';
import type { Pipeline } from '../sampling/pipeline';
import type { LoraPath } from '../weights/lora/on-disk';
import { dtypeOption } from './dtype-option';
import { interval, loraText, numberAbove, numberBetween, wholeNumber } from './parse';

/** What published models can be asked for besides steps and guidance. */
export interface PictureOptions {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly frames?: number | undefined;
  readonly maxSequenceLength?: number | undefined;
  readonly negativePrompt?: string | undefined;
  readonly trueCfgScale?: number | undefined;
  readonly guidance2?: number | undefined;
  readonly guidanceInterval?: readonly [number, number] | undefined;
  readonly shift?: number | undefined;
  readonly offload?: boolean | undefined;
  readonly vaeTiling?: boolean | undefined;
  readonly dtype?: ComputeType | undefined;
  readonly variant?: string | undefined;
  readonly lora?: readonly LoraPath[] | undefined;
  readonly lora2?: readonly LoraPath[] | undefined;
  readonly transformer?: string | undefined;
  readonly transformer2?: string | undefined;
}

/** The options of what is asked of a model that is loaded. */
export function addRequestOptions(command: Command): Command {
  return command
    .option('--width <pixels>', "width of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--height <pixels>', "height of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--frames <n>', "frames of a clip (default: the model's)", wholeNumber(1, MOST.frames))
    .option(
      '--max-sequence-length <n>',
      "tokens that a prompt may have (default: the model's)",
      wholeNumber(2, MOST.tokens),
    )
    .option('--negative-prompt <prompt>', 'what to steer away from')
    .option(
      '--true-cfg-scale <s>',
      'FLUX: true guidance from a second call a step; acts above 1, with --negative-prompt',
      numberBetween(0, MOST.guidance),
    )
    .option(
      '--guidance-2 <g>',
      'Wan2.2: guidance of the second expert (default: that of the first)',
      numberBetween(0, MOST.guidance),
    )
    .option(
      '--guidance-interval <from,to>',
      "where on the way from noise, 0, to picture, 1, guidance acts (default: the model's)",
      interval,
    )
    .option(
      '--shift <s>',
      "spend more steps at high noise, above 1, or fewer, in place of the model's own shift (flow matching)",
      numberAbove(0, MOST.shift),
    )
    .option('--vae-tiling', 'decode large pictures in overlapping tiles: less memory, at faint seams');
}

const loras = (flags: string, what: string): Option =>
  new Option(flags, what).argParser((text: string, before: readonly LoraPath[] = []) => [...before, loraText(text)]);

export const loraOption = (): Option =>
  loras(
    '--lora <file[:scale]>',
    'merge a LoRA, or a folder of peft, times a scale (default: 1); may be given more than once',
  );

export const secondLoraOption = (): Option =>
  loras('--lora-2 <file[:scale]>', 'Wan2.2: the same for the second transformer');

/** @throws UsageError for a strength without a picture to begin with */
export function requireStrengthOfUse(command: Command, { init }: { readonly init?: string | undefined }): void {
  if (command.getOptionValueSource('strength') !== 'cli' || init !== undefined) return;
  throw new UsageError('--strength says how much of a picture is drawn anew, and no --init names one.', {
    hint: 'Add --init PICTURE, or omit --strength.',
  });
}

export function addPictureOptions(command: Command): Command {
  return addRequestOptions(command)
    .option('--offload', 'leave the transformer on disk and read it block by block, for models larger than memory')
    .addOption(loraOption())
    .addOption(secondLoraOption())
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--transformer <file>', "a .gguf or .safetensors file in place of the folder's transformer")
    .option('--transformer-2 <file>', 'Wan2.2: the same for the second transformer')
    .addOption(dtypeOption());
}

/** The part of a request that the options make. */
export function pictureRequest(options: PictureOptions): PictureRequest {
  const { width, height, frames, maxSequenceLength, negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift } =
    options;
  const size = {
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(frames !== undefined && { frames }),
  };
  return {
    ...(Object.keys(size).length > 0 && { size }),
    ...given({ maxSequenceLength, negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift }),
  };
}

/** The files of transformers and LoRAs that the options name. */
export function weightFiles({
  transformer,
  transformer2,
  lora = [],
  lora2 = [],
}: PictureOptions): Pick<LoadModelOptions, 'transformer' | 'transformer2'> & { loras?: LoraPath[] } {
  const loras = [...lora, ...lora2.map(each => ({ ...each, component: 'transformer_2' as const }))];
  return {
    ...(transformer !== undefined && { transformer: { path: transformer } }),
    ...(transformer2 !== undefined && { transformer2: { path: transformer2 } }),
    ...(loras.length > 0 && { loras }),
  };
}

/** How the options want a model loaded. */
export function loadingOptions(options: PictureOptions): LoadModelOptions {
  const { offload = false, vaeTiling = false, dtype, variant } = options;
  return { offload, tiling: vaeTiling, dtype, variant, ...weightFiles(options) };
}

/** Loads a model that draws as the options say. */
export async function loadForPictures(model: string, options: PictureOptions): Promise<Pipeline> {
  return atSize(await loadModel(model, loadingOptions(options)), pictureRequest(options));
}

/** What of the options decides the pixels, by name: those that were given. */
export function pictureFacts(options: PictureOptions): Record<string, number | string> {
  const { width, height, frames, maxSequenceLength, vaeTiling, dtype, variant, transformer, transformer2 } = options;
  const { negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift } = options;
  return {
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(frames !== undefined && { frames }),
    ...(maxSequenceLength !== undefined && { maxSequenceLength }),
    ...given({ negativePrompt, trueCfgScale, guidance2, guidanceInterval: guidanceInterval?.join(), shift }),
    ...(vaeTiling && { vaeTiling: 'on' }),
    ...(dtype !== undefined && dtype !== 'float32' && { dtype }),
    ...(variant !== undefined && { variant }),
    ...given({ transformer, transformer2 }),
  };
}
