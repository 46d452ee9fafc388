import { Command } from 'commander';
import { type ComponentDescription, describeModel, type ModelDescription } from '../../weights/describe';
import { modelWithKnownNames } from '../../weights/names/known-names';
import { openModel } from '../../weights/open-model';
import { knownTables } from './known-tables';
import { bytesText, countText } from './units';

interface Options {
  json: boolean;
  variant?: string;
  config?: string;
  values?: boolean;
  unchecked: boolean;
}

/** `ertacache info`: what a model on disk holds, and whether it is whole. */
export function infoCommand(): Command {
  return new Command('info')
    .description('check a model on disk and say what it holds')
    .argument('<path>', 'a model folder, a pipeline folder, a converted model or a .safetensors file')
    .option('--json', 'print JSON', false)
    .option('--variant <name>', 'take the weight files of this variant, such as fp16')
    .option('--config <file>', 'the config.json of a single .safetensors file')
    .option('--values', 'check every value, also in models over 1 GiB')
    .option('--no-values', 'read headers only')
    .option('--unchecked', 'also take model classes that ertacache does not know', false)
    .exitOverride()
    .action(async (path: string, { json, variant, config, values, unchecked }: Options) => {
      const opened = await openModel(path, { variant, config });
      try {
        const model = modelWithKnownNames(opened, knownTables);
        const description = await describeModel(model, { tableOf: knownTables, values, unchecked });
        console.log(json ? JSON.stringify(description, null, 2) : text(description));
      } finally {
        await opened.close();
      }
    });
}

const KINDS: Record<ModelDescription['kind'], string> = {
  file: 'a weight file',
  component: 'a model folder',
  pipeline: 'a pipeline folder',
  converted: 'a converted model',
};

function text(model: ModelDescription): string {
  const lines = [`${model.path}: ${KINDS[model.kind]}${model.pipeline ? ` (${model.pipeline})` : ''}`];
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
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [
    `${component.name}: ${component.className}`,
    `  ${countText(component.tensors, 'tensor')}, ${countText(component.parameters, 'parameter')}, ${types}`,
    `  ${sizes(component)}`,
    ...(config.length > 0 ? [`  ${config.join(', ')}`] : []),
  ];
}

function sizes({ bytes, float32Bytes }: { bytes: number; float32Bytes: number }): string {
  return `${bytesText(bytes)} on disk, ${bytesText(float32Bytes)} in memory as float32`;
}
