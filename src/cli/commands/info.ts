import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { UsageError } from '../../errors';
import { MOST } from '../../io/counts';
import { given } from '../../io/given';
import { modelClassNames } from '../../models/families';
import { modelWithKnownNames } from '../../models/known-names';
import { knownTables } from '../../models/known-tables';
import { preset, presetNames } from '../../models/presets';
import { type Requirements, requirements } from '../../models/requirements';
import type { Demand } from '../../models/workload';
import { foundModel } from '../../pipelines/load';
import { openNamed } from '../../pipelines/open';
import { printableName } from '../../printable';
import { type ComponentDescription, describeModel, type ModelDescription } from '../../weights/describe';
import type { ModelComponent } from '../../weights/model-folder';
import type { OpenModel } from '../../weights/open-model';
import { wholeNumber } from '../parse';
import { print } from '../say';
import { loraText } from './lora-lines';
import { requirementLines } from './requirement-lines';
import { bytesText, countText } from './units';

interface Options {
  json: boolean;
  variant?: string | undefined;
  transformer?: string | undefined;
  config?: string | undefined;
  values?: boolean | undefined;
  unchecked: boolean;
  width?: number | undefined;
  height?: number | undefined;
  frames?: number | undefined;
}

/** `ertacache info`: what a model on disk or a published model is, and whether this machine can run it. */
export function infoCommand(): Command {
  return new Command('info')
    .argument(
      '<model>',
      `a folder, a converted model, a .safetensors or .gguf file, a LoRA, a model that ships with ertacache, or one of ${presetNames().join(', ')}`,
    )
    .option('--json', 'print JSON', false)
    .option('--width <pixels>', "width of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--height <pixels>', "height of the picture (default: the model's)", wholeNumber(1, MOST.pixels))
    .option('--frames <n>', "frames of a clip (default: the model's)", wholeNumber(1, MOST.frames))
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--transformer <file>', "a .gguf or .safetensors file in place of the folder's transformer")
    .option('--config <file>', 'the config.json of a single .safetensors or .gguf file')
    .option('--values', 'check every value, also in models over 1 GiB')
    .option('--no-values', 'read headers only')
    .option('--unchecked', 'also take model classes that ertacache does not know', false)
    .exitOverride()
    .action(async (name: string, options: Options) => {
      const isFile = existsSync(name);
      const isPreset = presetNames().includes(name) && !isFile;
      const path = foundModel(name) ?? name;
      const lines = isPreset ? describePreset(name, options) : await describeFiles(path, options);
      print(lines);
    });
}

const demandOf = ({ width, height, frames }: Options): Demand => given({ width, height, frames });

function describePreset(name: string, options: Options): string {
  const { title, transformer } = preset(name);
  const needs = requirements(transformer._class_name, transformer, demandOf(options));
  if (options.json) return JSON.stringify({ preset: name, title, ...needs }, null, 2);
  const heading = `${name} (${title}): ${needs.className}, ${countText(needs.parameters, 'parameter')}`;
  return [heading, ...requirementLines(needs)].join('\n');
}

async function describeFiles(path: string, options: Options): Promise<string> {
  const { json, variant, config, values, unchecked } = options;
  const lora = await loraText(path, json);
  if (lora !== undefined) return lora;
  const file = options.transformer;
  const opened = await openNamed(path, { variant, config, ...(file !== undefined && { transformer: { path: file } }) });
  try {
    const model = modelWithKnownNames(opened, knownTables);
    const description = await describeModel(model, { tableOf: knownTables, values, unchecked });
    const transformer = [...model.components.values()].find(({ className }) => modelClassNames().includes(className));
    // Small models paint pixels themselves: sizes of the large ones do not apply to them.
    const reckoned = transformer && isLatentModel(model) ? transformer : undefined;
    const needs = reckoned && needsOf(reckoned, options);
    if (json) return JSON.stringify({ ...description, ...(needs && { needs }) }, null, 2);
    return [text(description), ...(needs ? [`to run the ${needs.className}:`, ...requirementLines(needs)] : [])].join(
      '\n',
    );
  } finally {
    await opened.close();
  }
}

/** Unless a size was asked for, a model that cannot draw the usual one is described without. */
function needsOf({ className, config }: ModelComponent, options: Options): Requirements | undefined {
  try {
    return requirements(className, config, demandOf(options));
  } catch (error) {
    if (error instanceof UsageError && Object.keys(demandOf(options)).length === 0) return undefined;
    throw error;
  }
}

/** A `pipeline.json` is that of a model of this project's own, which has its own geometry. */
function isLatentModel(model: OpenModel): boolean {
  return !model.files.includes('pipeline.json');
}

const KINDS: Record<ModelDescription['kind'], string> = {
  file: 'a weight file',
  component: 'a model folder',
  pipeline: 'a pipeline folder',
  converted: 'a converted model',
};

function text(model: ModelDescription): string {
  const lines = [`${model.path}: ${KINDS[model.kind]}${model.pipeline ? ` (${printableName(model.pipeline)})` : ''}`];
  for (const component of model.components) lines.push(...componentLines(component));
  if (model.components.length > 1) {
    lines.push(`together: ${countText(model.parameters, 'parameter')}`, `  ${sizes(model)}`);
  }
  lines.push(model.valuesChecked ? 'every value is finite' : 'values not checked (--values checks them)');
  return lines.join('\n');
}

function componentLines(component: ComponentDescription): string[] {
  const types = Object.keys(component.dtypes).join(', ');
  const config = Object.entries(component.config)
    .filter(([key, value]) => !key.startsWith('_') && value !== null)
    .map(
      ([key, value]) =>
        `${printableName(key)} ${printableName(typeof value === 'string' ? value : JSON.stringify(value))}`,
    );
  return [
    `${component.name}: ${printableName(component.className)}`,
    `  ${countText(component.tensors, 'tensor')}, ${countText(component.parameters, 'parameter')}, ${types}`,
    `  ${sizes(component)}`,
    ...(config.length > 0 ? [`  ${config.join(', ')}`] : []),
  ];
}

function sizes({ bytes, float32Bytes }: { bytes: number; float32Bytes: number }): string {
  return `${bytesText(bytes)} on disk, ${bytesText(float32Bytes)} in memory as float32`;
}
