import { type CheckOptions, checkModel, checkValues } from './check-model';
import { isFloating } from './dtype';
import type { OpenModel } from './open-model';
import type { TensorSource } from './source';
import { type BlockType, isBlockType, type StoredType } from './stored-type';

/** Models up to this size, in bytes on disk, have their values checked by default. */
export const CHECKED_BYTES = 2 ** 30;

export interface Amount {
  tensors: number;
  /** Elements, of floating tensors and all others. */
  parameters: number;
  /** As stored. */
  bytes: number;
  /** What the floating tensors take once they are in memory. */
  float32Bytes: number;
}

export interface ComponentDescription extends Amount {
  readonly name: string;
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Elements by the name of their type. */
  readonly dtypes: Readonly<Record<string, number>>;
}

export interface ModelDescription extends Amount {
  readonly path: string;
  readonly kind: OpenModel['kind'];
  readonly pipeline?: string | undefined;
  readonly components: readonly ComponentDescription[];
  /** False when values were not looked at, so that a NaN would not have been found. */
  readonly valuesChecked: boolean;
}

export interface DescribeOptions extends CheckOptions {
  /** Whether to read every value; by default only in models of up to 1 GiB. */
  readonly values?: boolean | undefined;
}

const TYPE_NAMES: Record<Exclude<StoredType, BlockType>, string> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  Q8: 'uint8 (scaled)',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  F8_E4M3: 'float8 e4m3',
  F8_E5M2: 'float8 e5m2',
  BOOL: 'bool',
};

/** Checks an opened model and counts what it holds. @throws CheckpointError when it is broken */
export async function describeModel(model: OpenModel, options: DescribeOptions): Promise<ModelDescription> {
  checkModel(model, options);
  const components = [...model.components].map(([name, { className, config, source }]) => {
    const dtypes: Record<string, number> = {};
    for (const tensor of source.names) {
      const { dtype, size } = source.entry(tensor);
      const type = isBlockType(dtype) ? dtype : TYPE_NAMES[dtype];
      dtypes[type] = (dtypes[type] ?? 0) + size;
    }
    return { name, className, config, ...amount(source), dtypes };
  });
  const sum = (key: keyof Amount) => components.reduce((total, component) => total + component[key], 0);
  const valuesChecked = options.values ?? sum('bytes') <= CHECKED_BYTES;
  if (valuesChecked) for (const component of model.components.values()) await checkValues(component);
  return {
    path: model.path,
    kind: model.kind,
    pipeline: model.pipeline,
    tensors: sum('tensors'),
    parameters: sum('parameters'),
    bytes: sum('bytes'),
    float32Bytes: sum('float32Bytes'),
    components,
    valuesChecked,
  };
}

function amount(source: TensorSource): Amount {
  const total: Amount = { tensors: 0, parameters: 0, bytes: 0, float32Bytes: 0 };
  for (const name of source.names) {
    const { dtype, size, bytes } = source.entry(name);
    total.tensors++;
    total.parameters += size;
    total.bytes += bytes;
    if (isFloating(dtype)) total.float32Bytes += size * 4;
  }
  return total;
}
