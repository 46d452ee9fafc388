import * as tf from '@tensorflow/tfjs-core';
import type { InputBuilder, Signature, Sized } from '../../models/signature';
import type { Expression } from '../../models/sizes';
import { type Denoiser, type Tokens, untapped } from '../../transformer/denoiser';
import { laidOutShape } from '../../weights/layout';
import type { ParameterTable, WeightStore } from '../../weights/parameters';
import { view } from '../../weights/store';
import type { Recorder } from './trace/recorder';
import type { Numbers } from './trace/types';

/** A model whose weights are names and shapes only. */
export interface Recordable {
  readonly config: unknown;
  readonly signature: Signature;
  readonly table: ParameterTable;
  /** What the names of weights are put under: `transformer/`. */
  readonly prefix: string;
  create(weights: WeightStore): Denoiser;
}

/** Names of the nodes at which a graph can be cut: see {@link forwardPass}. */
export const PARTS = { embed: 'embed', blocks: 'blocks', output: 'output' } as const;

/**
 * One whole forward pass at these sizes, to be recorded. The tokens that enter the blocks, those that leave them and
 * the output have names ({@link PARTS}): a graph can be run up to each of them, and be given each of them in place of
 * what comes before.
 */
export function forwardPass(model: Recordable, sizes: Readonly<Record<string, Sized>>): (recorder: Recorder) => void {
  return recorder => {
    const weights = namedWeights(recorder, model);
    const denoiser = model.create(weights);
    const build = inputBuilder(recorder, weights);
    recorder.scope = 'inputs';
    const call = model.signature.call(model.config, sizes, build);
    const { sample, timestep } = call;
    recorder.scope = 'prepare';
    const context = denoiser.prepare(call.condition, sample.shape);
    recorder.scope = 'embed';
    const stream = denoiser.embed(sample, timestep, context);
    let tokens: Tokens = { ...stream.tokens, hidden: named(recorder, PARTS.embed, stream.tokens.hidden) };
    for (const block of denoiser.blocks) {
      recorder.scope = block.name;
      tokens = block.run(weights.resident.at(block.name), tokens, stream.shared, untapped);
    }
    tokens = { ...tokens, hidden: named(recorder, PARTS.blocks, tokens.hidden) };
    recorder.scope = 'head';
    const output = denoiser.head({ tokens, shared: stream.shared });
    named(recorder, PARTS.output, call.finish?.(output) ?? output);
  };
}

function named(recorder: Recorder, name: string, tensor: tf.Tensor): tf.Tensor {
  const { shape, dtype } = tensor;
  const attributes = { T: { type: 'DT_FLOAT' } };
  return recorder.tensor({ op: 'Identity', name, operands: [recorder.refOf(tensor)], attributes }, { shape, dtype });
}

/** Every parameter as a constant of its own name. */
function namedWeights(recorder: Recorder, { table, prefix }: Recordable): WeightStore {
  recorder.scope = 'weights';
  const tensors = new Map(
    table.map(parameter => {
      const type = { shape: laidOutShape(parameter), dtype: 'float32' } as const;
      return [parameter.name, recorder.tensor({ op: 'Const', name: prefix + parameter.name }, type)];
    }),
  );
  const resident = view(tensors, '');
  return { resident, use: async (block, work) => work(resident.at(block)), bytes: 0, dispose() {} };
}

function inputBuilder(recorder: Recorder, weights: WeightStore): InputBuilder {
  const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' }) as const;
  const byExpressions = (
    expressions: readonly Expression[],
    numbers: readonly number[],
    shape?: number[],
  ): Numbers => ({
    numbers,
    expressions,
    shape,
  });
  const attributes = { T: { type: 'DT_FLOAT' } };
  const scalarOf = ({ size, value }: Sized): Numbers => byExpressions([[{ factor: 1, sizes: [size] }]], [value], [1]);
  return {
    weights,
    input: (name, shape) => recorder.tensor({ op: 'Placeholder', name }, float(shape)),
    optional(name, shape, otherwise) {
      // A constant, because tfjs disposes a computed default as soon as it has been handed on.
      const constant = tf.fill(
        shape.map(() => 1),
        otherwise,
      );
      const operands = [recorder.refOf(constant)];
      return recorder.tensor({ op: 'PlaceholderWithDefault', name, operands }, float(shape));
    },
    range: size =>
      recorder.tensor(
        {
          op: 'Range',
          operands: [{ numbers: [0], shape: [] }, scalarOf(size), { numbers: [1], shape: [] }],
          attributes: { Tidx: { type: 'DT_FLOAT' } },
        },
        float([size.value]),
      ) as tf.Tensor1D,
    count(size) {
      const operands = [byExpressions([[{ factor: 1, sizes: [size.size] }]], [size.value], [1])];
      const cast = { SrcT: { type: 'DT_INT32' }, DstT: { type: 'DT_FLOAT' } };
      return tf.reshape(recorder.tensor({ op: 'Cast', operands, attributes: cast }, float([1])), []);
    },
    reshape: (x, target, shape) =>
      recorder.tensor(
        { op: 'Reshape', operands: [recorder.refOf(x), byExpressions(target, shape)], attributes },
        float(shape),
      ),
    pad(x, ends) {
      const none: Expression = [];
      const by = byExpressions(
        ends.flatMap(end => [none, end]),
        ends.flatMap(() => [0, 0]),
        [ends.length, 2],
      );
      const operands = [recorder.refOf(x), by, recorder.refOf(tf.scalar(0))];
      return recorder.tensor({ op: 'PadV2', operands, attributes }, float(x.shape));
    },
    slice(x, lengths) {
      const begin = { numbers: lengths.map(() => 0) };
      const operands = [recorder.refOf(x), begin, byExpressions(lengths, x.shape)];
      return recorder.tensor(
        { op: 'Slice', operands, attributes: { ...attributes, Index: { type: 'DT_INT32' } } },
        float(x.shape),
      );
    },
  };
}
