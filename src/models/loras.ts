import { UsageError } from '../errors';
import { note } from '../io/notes';
import type { LoraInfo, PipelineInfo } from '../sampling/pipeline';
import { type LoraFile, openAdapter } from '../weights/lora/adapter';
import { type Modules, modulesOf } from '../weights/lora/modules';
import { checkAdapterValues, planAdapter } from '../weights/lora/plan';
import type { ParameterTable } from '../weights/parameters';
import type { Family } from './family';

/** The modules of a model, under every name that LoRAs of its family call them by. */
export function adapterModules({ keys, adapterKeys }: Family, table: ParameterTable): Modules {
  return modulesOf(table, [keys?.groups ?? [], adapterKeys ?? []]);
}

/** LoRAs that were checked. */
interface CheckedLoras {
  /** What identifies them, for the facts of a pipeline; nothing where there are none. */
  readonly info: Pick<PipelineInfo, 'loras'>;
  /** The same files; any other content of theirs is refused. */
  readonly files: readonly LoraFile[];
}

/**
 * Checks LoRAs whole, values too, before anything is merged, and says once what of them is not merged.
 * @param isPair whether the pipeline has a second transformer
 * @throws CheckpointError naming what is wrong, IoError, UsageError
 */
export async function requireLoras(
  loras: readonly LoraFile[] | undefined = [],
  family: Family,
  table: ParameterTable,
  isPair = false,
): Promise<CheckedLoras> {
  if (loras.length === 0) return { info: {}, files: [] };
  const homeless = loras.find(({ component }) => component !== undefined && !isPair);
  if (homeless) {
    throw new UsageError(
      `${homeless.folder.pathTo(homeless.file)} is for a second transformer, and the model has one.`,
      { hint: 'Give it by --lora, in a program without component.' },
    );
  }
  const modules = adapterModules(family, table);
  const found: LoraInfo[] = [];
  const files: LoraFile[] = [];
  for (const lora of loras) {
    const adapter = await openAdapter(lora);
    try {
      const { ofTextEncoders } = await planAdapter(adapter, modules);
      await checkAdapterValues(adapter);
      const count = ofTextEncoders.length;
      if (count > 0) {
        const what = count === 1 ? '1 tensor is' : `${count} tensors are`;
        const names = `${ofTextEncoders[0]}${count === 1 ? '' : ', …'}`;
        note(`${adapter.where}: ${what} for a text encoder (${names}) and not merged.`);
      }
      const sha256 = await adapter.hash();
      if (lora.sha256 !== undefined && lora.sha256 !== sha256) {
        throw new UsageError(`${adapter.where} is no longer the LoRA that the picture was made with.`, {
          hint: 'Put it back as it was.',
        });
      }
      files.push({ ...lora, version: adapter.version });
      const { component } = lora;
      found.push({ path: adapter.where, sha256, scale: adapter.scale, ...(component && { component }) });
    } finally {
      await adapter.source.close();
    }
  }
  return { info: { loras: found }, files };
}
