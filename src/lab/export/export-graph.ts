import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import type { Family } from '../../models/family';
import type { Sized } from '../../models/signature';
import { sizeKey } from '../../models/sizes';
import { type GraphConstant, graphDef, type NodeDef, shapeAttribute } from './graph-def';
import type { Varied } from './interpolate';
import { forwardPass, PARTS, type Recordable } from './record-model';
import { record } from './trace/record';
import { typeName } from './trace/types';
import { type GraphNode, lookUpSize, unify } from './unify';

export interface GraphOptions {
  /** What the names of weights are put under, such as `transformer/`. */
  readonly prefix: string;
  /** Names the three parts in the signature, so that they are its inputs and outputs. */
  readonly split?: boolean | undefined;
}

interface Endpoint {
  readonly name: string;
  readonly dtype: string;
  readonly tensorShape: unknown;
}

/** A transformer as a TensorFlow.js graph model, without the values of its weights. */
export interface ExportedGraph {
  readonly topology: {
    readonly node: readonly NodeDef[];
    readonly library: object;
    readonly versions: { readonly producer: number; readonly minConsumer: number };
  };
  readonly signature: {
    readonly inputs: Readonly<Record<string, Endpoint>>;
    readonly outputs: Readonly<Record<string, Endpoint>>;
  };
  /** Constants that the graph needs beside the weights. */
  readonly constants: readonly GraphConstant[];
}

/** Sizes that a recording is made at: so small that no layer of any model cuts its work into tiles. */
const [LOW, HIGH, TRIAL] = [2, 3, 4];

/**
 * Records a transformer as a graph that takes any batch and, where its class allows, any number of tokens.
 * No weight is read: the graph names them, laid out as layers want them.
 * @throws UnsupportedError for a class, or an operation in it, that cannot be exported
 */
export function exportGraph(className: string, config: unknown, options: GraphOptions): ExportedGraph {
  const known = familyOf(className);
  const parsed = parseConfig(known.schema, config, `The configuration of ${className}`);
  return graphOf(recordable(known, parsed, options.prefix), options.split);
}

function recordable(known: Family, config: unknown, prefix: string): Recordable {
  return {
    config,
    signature: known.signature,
    prefix,
    table: known.parameters(config),
    create: weights => known.create(config, weights),
  };
}

/** The graph of any model that can be recorded. */
export function graphOf(model: Recordable, split = false): ExportedGraph {
  const sizes = Object.entries(model.signature.sizes(model.config));
  const varied: Varied[] = sizes.map(([, size]) => ({ size, low: LOW, high: HIGH }));
  const at = (value: (index: number) => number) =>
    forwardPass(
      model,
      Object.fromEntries(sizes.map(([name, size], i): [string, Sized] => [name, { size, value: value(i) }])),
    );
  const corners = Array.from({ length: 1 << sizes.length }, (_, mask) => at(i => (mask & (1 << i) ? HIGH : LOW)));
  const recordings = record([...corners, at(() => TRIAL)]);
  const trial = {
    nodes: recordings.at(-1)!,
    value: lookUpSize(new Map(sizes.map(([, size]) => [sizeKey(size), TRIAL]))),
  };
  const graph = unify({ varied, corners: recordings.slice(0, -1), trial });
  const { nodes, constants } = graphDef(graph);
  return {
    topology: { node: nodes, library: {}, versions: { producer: 1, minConsumer: 1 } },
    signature: signatureOfGraph(graph, split),
    constants,
  };
}

function signatureOfGraph(graph: readonly GraphNode[], split: boolean): ExportedGraph['signature'] {
  const endpoints = (nodes: readonly GraphNode[]): Record<string, Endpoint> =>
    Object.fromEntries(
      nodes.map(({ name, dtype, shapes }) => {
        const { shape: tensorShape } = shapeAttribute(shapes[0]!) as { shape: unknown };
        return [name!, { name: name!, dtype: typeName(dtype), tensorShape }];
      }),
    );
  const called = (name: string): GraphNode => graph.find(node => node.name === name)!;
  const inputs = graph.filter(node => node.op.startsWith('Placeholder'));
  return {
    inputs: endpoints(split ? [...inputs, called(PARTS.embed), called(PARTS.blocks)] : inputs),
    outputs: endpoints((split ? [PARTS.embed, PARTS.blocks, PARTS.output] : [PARTS.output]).map(called)),
  };
}
