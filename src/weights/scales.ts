/**
 * Float8 weights as ComfyUI writes them: beside a layer's weight lies what it is multiplied by, and marks
 * that say how it was quantised.
 */
import { CheckpointError } from '../errors';
import { allDone } from '../io/byte-file';
import { isRecord, parsePlainJson } from '../io/plain-json';
import { showShape } from './dtype';
import { type Scale, type StoredTensor, type TensorSource, tensorSource } from './source';

/** `weight = float(code) * scale`: older files call it by the first name. */
const SCALES = /\.(scale_weight|weight_scale)$/;
/** Scales of activations, for products in float8: those here are in float32 or bfloat16. */
const ASIDE = /\.(scale_input|input_scale)$/;
/** Says in JSON how a layer was quantised. */
const FORMAT = /\.comfy_quant$/;
/** Says that the file is a scaled one; holds nothing. */
const MARK = /(^|\.)scaled_fp8$/;
/** The same as `comfy_quant`, of all layers, in the header. */
const METADATA = '_quantization_metadata';

const FORMATS: readonly unknown[] = ['float8_e4m3fn', 'float8_e5m2'];
/** A description of one layer is shorter. */
const MOST_BYTES = 2 ** 16;

/**
 * Takes scales and marks out of a checkpoint's tensors, and gives the scales to the weights that they belong to.
 * @param metadata of the file's header
 * @param where how errors call the checkpoint
 * @throws CheckpointError `dtype` naming a format that is not read
 */
export async function withScales(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, string>,
  where: string,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const described = metadata.get(METADATA);
  if (described !== undefined) requireFormats(parsedMetadata(described, where), where);
  const weightOf = (name: string, pattern: RegExp): string | undefined => {
    const weight = pattern.test(name) ? name.replace(pattern, '.weight') : undefined;
    return weight !== undefined && tensors.has(weight) ? weight : undefined;
  };
  const names = [...tensors.keys()];
  const marks = new Set(names.filter(name => MARK.test(name) || weightOf(name, ASIDE) || weightOf(name, FORMAT)));
  const scales = names.flatMap(name => {
    const weight = weightOf(name, SCALES);
    return weight === undefined ? [] : [{ name, weight }];
  });
  if (marks.size === 0 && scales.length === 0) return tensors;

  const source = tensorSource(tensors, [], where);
  await allDone(names.filter(name => weightOf(name, FORMAT)).map(name => requireFormat(source, name, where)));
  const found = new Map(tensors);
  for (const mark of marks) found.delete(mark);
  await allDone(
    scales.map(async ({ name, weight }) => {
      found.delete(name);
      found.set(weight, { ...tensors.get(weight)!, scale: await scaleOf(source, name, weight, where) });
    }),
  );
  return found;
}

/** One for the whole weight, or one for each of its rows: `[rows]`, or `[rows, 1]` as compressed-tensors writes them. */
async function scaleOf(source: TensorSource, name: string, weight: string, where: string): Promise<Scale> {
  const { shape, size } = source.entry(name);
  const { shape: of } = source.entry(weight);
  if (size !== 1 && !(of.length > 1 && size === of[0] && shape[0] === size)) {
    throw new CheckpointError('shape_mismatch', `${name} in ${where} has the shape ${showShape(shape)}.`, {
      hint: 'ertacache reads one scale for a whole tensor, or one for each of its rows: take a checkpoint that was quantised so.',
    });
  }
  const values = await source.read(name);
  const wrong = values.find(value => !Number.isFinite(value));
  if (wrong === undefined) return size === 1 ? values[0]! : values;
  throw new CheckpointError('non_finite', `${name} in ${where} holds ${wrong}.`, {
    hint: 'The checkpoint is damaged: download it again.',
  });
}

async function requireFormat(source: TensorSource, name: string, where: string): Promise<void> {
  const { bytes } = source.entry(name);
  const text = bytes <= MOST_BYTES ? new TextDecoder().decode(await source.readRaw(name)) : '';
  const described = parsed(text);
  if (!isRecord(described)) throw unreadable(`${name} in ${where}`);
  requireFormats([described.format ?? null], where);
}

function requireFormats(formats: readonly unknown[], where: string): void {
  const strange = formats.find(format => !FORMATS.includes(format));
  if (strange === undefined) return;
  const message = `${where} is quantised as ${JSON.stringify(strange)}, which ertacache does not read.`;
  throw new CheckpointError('dtype', message, {
    hint: `It reads ${FORMATS.join(' and ')}, and the quantised types of GGUF files.`,
  });
}

function parsedMetadata(text: string, where: string): unknown[] {
  const described = parsed(text);
  const layers = isRecord(described) ? (described.layers ?? {}) : undefined;
  if (!isRecord(layers)) throw unreadable(`${METADATA} in ${where}`);
  return Object.values(layers).map(layer => (isRecord(layer) ? (layer.format ?? null) : null));
}

function parsed(text: string): unknown {
  try {
    return parsePlainJson(text);
  } catch {
    return undefined;
  }
}

function unreadable(what: string): CheckpointError {
  return new CheckpointError('header_entry', `${what} does not describe in JSON how a tensor was quantised.`, {
    hint: 'Download or export the file again.',
  });
}
