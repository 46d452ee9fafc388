/**
 * What text encoders made of some prompts, kept outside the backend, and as a file, so that later runs need no text
 * encoder at all.
 */
import { z } from 'zod';
import { CheckpointError, UsageError } from '../errors';
import { writeFileAtomic } from '../io/atomic';
import { count, MOST } from '../io/counts';
import { isFile, openFile } from '../io/node-file';
import { parseConfig } from '../io/parse-config';
import { parsePlainJson } from '../io/plain-json';
import { requireWritable } from '../io/writable';
import type { Copy, Embedding, Embeddings } from '../sampling/embeddings';
import { openSafetensorsAt } from '../weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../weights/encode-safetensors';
import { readHeader } from '../weights/safetensors-source';

const FORMAT = 'ertacache-embeddings';

const contentSchema = z.object({
  prompts: z.array(z.string()),
  negativePrompt: z.string().optional(),
  encoders: z.record(z.string(), z.string()),
  entries: z.array(
    z.object({
      encoder: z.string(),
      tokenizer: z.string(),
      texts: z.array(z.string()),
      length: count(MOST.tokens).optional(),
      masked: z.boolean().optional(),
    }),
  ),
});

/** @throws UsageError or IoError when embeddings could not be written there: other files are not replaced */
export async function requireEmbeddingsWritable(path: string): Promise<void> {
  await requireWritable(path);
  if (!(await isFile(path))) return;
  if ((await formatOf(path)) === FORMAT) return;
  throw new UsageError(`${path} holds no embeddings of ertacache and is not replaced.`, {
    hint: 'Choose another name, or move that file.',
  });
}

async function formatOf(path: string): Promise<string | undefined> {
  const file = await openFile(path);
  try {
    return (await readHeader(file)).metadata.get('format');
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Writes embeddings as safetensors; the file appears whole or not at all, and replaces only one of its kind. */
export async function writeEmbeddings(path: string, embeddings: Omit<Embeddings, 'where'>): Promise<void> {
  await requireEmbeddingsWritable(path);
  const { entries, ...rest } = embeddings;
  const tensors = new Map<string, TensorToWrite>();
  const floats = (name: string, { values, shape }: Copy): void => {
    tensors.set(name, { dtype: 'F32', shape, data: values });
  };
  const integers = (name: string, rows: readonly (readonly number[])[]): void => {
    const shape = [rows.length, rows[0]?.length ?? 0];
    tensors.set(name, { dtype: 'I32', shape, data: Int32Array.from(rows.flat()) });
  };
  for (const [i, { ids, mask, states, pooled }] of entries.entries()) {
    integers(`${i}.input_ids`, ids);
    integers(`${i}.attention_mask`, mask);
    floats(`${i}.prompt_embeds`, states);
    if (pooled) floats(`${i}.pooled_prompt_embeds`, pooled);
  }
  const content = { ...rest, entries: entries.map(entry => entry.request) };
  const metadata = { format: FORMAT, version: '1', content: JSON.stringify(content) };
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/** @throws CheckpointError when the file is broken, UsageError when it holds something else */
export async function readEmbeddings(path: string): Promise<Embeddings> {
  const content = await readContent(path);
  const source = await openSafetensorsAt(path);
  try {
    const floats = async (name: string): Promise<Copy> => ({
      values: await source.read(name),
      shape: source.entry(name).shape,
    });
    const integers = async (name: string): Promise<number[][]> => {
      const [rows = 0, columns = 0] = source.entry(name).shape;
      const values = [...(await source.readInts(name))];
      return Array.from({ length: rows }, (_, i) => values.slice(i * columns, (i + 1) * columns));
    };
    const entries: Embedding[] = [];
    for (const [i, request] of content.entries.entries()) {
      entries.push({
        request,
        ids: await integers(`${i}.input_ids`),
        mask: await integers(`${i}.attention_mask`),
        states: await floats(`${i}.prompt_embeds`),
        ...(source.has(`${i}.pooled_prompt_embeds`) && { pooled: await floats(`${i}.pooled_prompt_embeds`) }),
      });
    }
    return { ...content, where: path, entries };
  } finally {
    await source.close();
  }
}

async function readContent(path: string): Promise<z.infer<typeof contentSchema>> {
  const file = await openFile(path);
  try {
    const { metadata } = await readHeader(file);
    if (metadata.get('format') !== FORMAT || metadata.get('version') !== '1') {
      throw new UsageError(`${path} holds no embeddings of ertacache.`, {
        hint: 'Write them with `ertacache sample … --save-embeddings FILE`.',
      });
    }
    return parseConfig(contentSchema, parsePlainJson(metadata.get('content') ?? ''), path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CheckpointError('header_json', `The description of the embeddings in ${path} is broken.`, {
      hint: 'Write the file again.',
      cause: error,
    });
  } finally {
    await file.close();
  }
}
