import { availableMemory, totalMemory } from '../engine/memory';
import { parseConfig } from '../io/parse-config';
import type { PictureSize } from '../sampling/pipeline';
import { parameterCount } from '../weights/parameters';
import { familyOf } from './families';
import { countFlops, type Flops } from './flops';
import { activationBytes, weightBytes } from './room';
import type { Demand } from './workload';
import { workload } from './workload-of';

/** Room that a way of running needs, and whether this machine has it. */
export interface Need {
  readonly bytes: number;
  readonly fits: boolean;
}

/** What a transformer asks of a machine, derived from its configuration alone. */
export interface Requirements {
  readonly className: string;
  readonly parameters: number;
  /** The weights alone. */
  readonly bytes: { readonly float32: number; readonly bfloat16: number; readonly float16: number };
  readonly size: PictureSize;
  readonly tokens: number;
  readonly textTokens: number;
  readonly flops: Flops;
  readonly memory: {
    readonly total: number;
    readonly available: number;
    /** Estimate of what a forward pass needs beside the weights. */
    readonly activations: number;
    /** All weights in memory as float32. */
    readonly resident: Need;
    /** One block in memory as float32, two as they are stored (two bytes a value). */
    readonly offload: Need;
  };
}

/** The process itself with TensorFlow's library, and what a load holds for a moment. */
const BASE = 0.6e9;
/** @throws UsageError when the model cannot draw the size, ConfigError when the configuration is none of the class's */
export function requirements(className: string, config: unknown, demand: Demand = {}): Requirements {
  const known = familyOf(className);
  const parsed = parseConfig(known.schema, config, `The configuration of ${className}`);
  const table = known.parameters(parsed);
  const blocks = known.blockNames(parsed);
  const work = workload(className, parsed, demand);

  const parameters = parameterCount(table);
  const activations = activationBytes(work.tokens + work.textTokens, work.width);

  const [total, available] = [totalMemory(), availableMemory()];
  const need = (weights: number): Need => {
    const bytes = BASE + activations + weights;
    return { bytes, fits: bytes <= total };
  };
  return {
    className,
    parameters,
    bytes: { float32: 4 * parameters, bfloat16: 2 * parameters, float16: 2 * parameters },
    size: work.size,
    tokens: work.tokens,
    textTokens: work.textTokens,
    flops: countFlops(table, work, blocks),
    memory: {
      total,
      available,
      activations,
      resident: need(weightBytes(table, { blocks })),
      offload: need(weightBytes(table, { blocks, offload: true })),
    },
  };
}
