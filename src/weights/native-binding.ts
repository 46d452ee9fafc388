import type * as tf from '@tensorflow/tfjs-core';

/** What of tfjs-node's backend is used: its own way to TensorFlow's ops, which knows types that tfjs does not. */
export interface Binding {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_INT32: number;
  createTensor(shape: number[], type: number, values: Uint8Array | Int32Array): number;
  deleteTensor(id: number): void;
  executeOp(name: string, attributes: Attribute[], inputs: number[], outputs: number): Metadata[];
}

/** A tensor of TensorFlow, by its number. */
export interface Metadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

export interface NodeBackend {
  readonly binding: Binding;
  createOutputTensor(metadata: Metadata): tf.Tensor;
}

export function isNodeBackend(backend: object): backend is NodeBackend {
  return 'binding' in backend && 'createOutputTensor' in backend;
}

/** TensorFlow's numbers of types. */
export const TF = {
  float: 1,
  int32: 3,
  uint8: 4,
  bfloat16: 14,
  half: 19,
} as const;

/** Operations one after the other, whose results are let go of together. */
export interface Steps {
  /** The bytes as a tensor, copied. */
  input(shape: number[], type: number, values: Uint8Array | Int32Array): number;
  list(values: readonly number[]): number;
  run(name: string, attributes: Readonly<Record<string, Value>>, ...inputs: readonly number[]): Metadata;
}

type Value = readonly ['type', number] | readonly ['bool', boolean];
export const type = (number: number): Value => ['type', number];

/** Runs steps, and hands over the tensor of the last. */
export function withSteps(backend: NodeBackend, work: (steps: Steps) => Metadata): tf.Tensor {
  const { binding } = backend;
  const kinds = { type: binding.TF_ATTR_TYPE, bool: binding.TF_ATTR_BOOL };
  const made: number[] = [];
  const keep = (id: number): number => {
    made.push(id);
    return id;
  };
  try {
    const last = work({
      input: (shape, of, values) => keep(binding.createTensor(shape, of, values)),
      list: values => keep(binding.createTensor([values.length], binding.TF_INT32, Int32Array.from(values))),
      run(name, attributes, ...inputs) {
        const list = Object.entries(attributes).map(([key, [kind, value]]) => ({
          name: key,
          type: kinds[kind],
          value,
        }));
        const [output] = binding.executeOp(name, list, [...inputs], 1) as [Metadata];
        keep(output.id);
        return output;
      },
    });
    made.splice(made.indexOf(last.id), 1);
    return backend.createOutputTensor(last);
  } finally {
    for (const id of made) binding.deleteTensor(id);
  }
}
