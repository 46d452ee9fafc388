import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { diskFolder } from '../../io/disk-folder';
import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import { adapterModules, requireLoras } from '../../models/loras';
import { openSafetensorsAt } from '../../weights/disk';
import { loadStore } from '../../weights/load';
import type { LoraFile } from '../../weights/lora/adapter';
import { type Merges, openMerges } from '../../weights/lora/merge';
import type { Parameter } from '../../weights/parameters';
import { readPrepared } from '../../weights/prepare';
import type { CaseRunner } from './golden-case';
import { loadCase, readJsonFile } from './load-case';
import { produceForward } from './transformers';

/** What of a case's description is read here. */
interface LoraCase {
  /** The case that holds the model and the inputs, where they are not here. */
  readonly base?: string;
  /** Each is merged once at every scale; without scales all are merged together, each at its own. */
  readonly scales?: readonly number[] | null;
  readonly files?: readonly { readonly file: string; readonly scale?: number | null }[];
}

/** One set of LoRAs, and how outputs call it. */
interface Run {
  readonly label: string;
  readonly loras: readonly LoraFile[];
}

/**
 * Runs a case of the group `lora`: LoRAs are merged into the model of the case, and every changed weight and the model's
 * output are handed over, at each scale.
 */
export const runLora: CaseRunner = async (golden, produce, dtype) => {
  const described = await readJsonFile<LoraCase>(join(golden.folder, 'case.json'));
  const base = described.base === undefined ? golden : await loadCase(join(golden.folder, described.base));
  const known = familyOf(base.className);
  const path = join(base.folder, 'weights.safetensors');
  const config = parseConfig(known.schema, base.config, join(base.folder, 'config.json'));
  const table = known.parameters(config);
  const blocks = known.blockNames(config);
  const inputs = base.inputs.size > 0 ? base.inputs : golden.inputs;
  for (const { label, loras } of runsOf(golden.folder, described, golden.expected.has('sample_base'))) {
    await requireLoras(loras, known, table);
    const merges = loras.length > 0 ? await openMerges(loras, adapterModules(known, table)) : undefined;
    const source = await openSafetensorsAt(path);
    try {
      if (merges) {
        for (const parameter of table) {
          const name = `merged${label}/${parameter.name}`;
          if (!golden.expected.has(name)) continue;
          const value = await mergedOf(source, parameter, merges);
          produce(name, value);
          value.dispose();
        }
      }
      const weights = await loadStore(source, table, { blocks, where: path, dtype, merges });
      try {
        await produceForward({ ...base, inputs }, known.create(config, weights), (name, value) => {
          if (name === 'sample') produce(`sample${label}`, value);
        });
      } finally {
        weights.dispose();
      }
    } finally {
      await source.close();
      await merges?.close();
    }
  }
};

function runsOf(folder: string, { scales, files = [] }: LoraCase, hasPlain: boolean): Run[] {
  if (files.length === 0) return [{ label: '', loras: [] }];
  const given = (scale: number | null | undefined): LoraFile[] =>
    files
      .filter(({ file }) => !file.endsWith('.json'))
      .map(({ file, scale: own }) => ({
        folder: diskFolder(dirname(join(folder, file))),
        file: file.split('/').at(-1) as string,
        scale: scale ?? own ?? 1,
      }));
  if (!scales) return [{ label: '_mix', loras: given(undefined) }];
  const plain = hasPlain ? [{ label: '_base', loras: [] }] : [];
  return [...plain, ...scales.map(scale => ({ label: `_${scale}`, loras: given(scale) }))];
}

/** A merged weight as it is stored. */
async function mergedOf(
  source: Parameters<typeof readPrepared>[0],
  parameter: Parameter,
  merges: Merges,
): Promise<tf.Tensor> {
  const made = await readPrepared(source, parameter, { merges });
  const { layout, shape } = parameter;
  if (layout === 'plain') return made;
  const rank = shape.length;
  const order = [rank - 1, rank - 2, ...Array.from({ length: rank - 2 }, (_, i) => i)];
  const stored = tf.transpose(made, order);
  made.dispose();
  return stored;
}
