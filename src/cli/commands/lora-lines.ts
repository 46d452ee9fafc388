import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { families } from '../../models/families';
import { adapterModules } from '../../models/loras';
import { printableName } from '../../printable';
import { describeLora, type LoraDescription } from '../../weights/lora/describe';
import { LORA_WEIGHTS } from '../../weights/lora/on-disk';
import { bytesText, countText } from './units';

/** What `info` says of a LoRA; undefined for what is none. */
export async function loraText(path: string, json: boolean): Promise<string | undefined> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder ? !isLoraFolder(path) : !path.endsWith('.safetensors')) return undefined;
  const lora = await describeLora({ path });
  if (!lora) return undefined;
  const made = familiesOf(lora);
  if (json) return JSON.stringify({ ...lora, families: made }, null, 2);
  const { updates, dora, ranks, modules, ofTextEncoders } = lora;
  const kinds = Object.entries(updates).map(([kind, count]) => `${kind} (${count})`);
  return [
    `${path}: a LoRA${made.length > 0 ? ` for ${made.join(' or ')}` : ' for no model that ertacache knows'}`,
    `  ${countText(modules.length, 'module')}: ${kinds.join(', ')}${dora > 0 ? `, with DoRA (${dora})` : ''}${rankText(ranks)}`,
    `  such as ${printableName(modules[0] ?? '')}`,
    `  ${countText(lora.tensors, 'tensor')}, ${countText(lora.parameters, 'parameter')}, ${lora.dtypes.join(', ')}, ${bytesText(lora.bytes)}`,
    ...(ofTextEncoders > 0 ? [`  ${countText(ofTextEncoders, 'tensor')} for text encoders, which are not merged`] : []),
    'to use it: ertacache sample … --model MODEL --lora FILE[:SCALE]',
  ].join('\n');
}

/** A pipeline may hold a LoRA beside its parts. */
const isLoraFolder = (path: string): boolean =>
  LORA_WEIGHTS.some(name => existsSync(join(path, name))) && !existsSync(join(path, 'model_index.json'));

function rankText(ranks: LoraDescription['ranks']): string {
  if (!ranks) return '';
  return ranks[0] === ranks[1] ? `, rank ${ranks[0]}` : `, ranks ${ranks[0]} to ${ranks[1]}`;
}

/** Families that have every module of a LoRA, in one of their published sizes. */
function familiesOf({ modules }: LoraDescription): string[] {
  const fitting = families.filter(family =>
    family.presets.some(({ transformer }) => {
      const known = adapterModules(family, family.parameters(family.schema.parse(transformer)));
      return modules.every(module => known.find(module) !== undefined);
    }),
  );
  return fitting.map(({ title }) => title);
}
