import { UnsupportedError } from '../errors';
import { fileIn } from '../io/folder';
import { note } from '../io/notes';
import { isRecord } from '../io/plain-json';
import { families, familyOf, familyOfPipeline, modelClassNames } from '../models/families';
import type { Family } from '../models/family';
import { type OpenModel, readModelJson } from '../weights/open-model';
import { foreignTasks } from './foreign-tasks';

export const MODEL_INDEX = 'model_index.json';

const titles = families.map(family => family.title).join(', ');

/**
 * The family that draws what a `model_index.json` describes: by the class of the pipeline, or by that of the
 * transformer, where a fork has renamed the first. Looks at nothing but names, so that what cannot be drawn is told
 * before any weight is read.
 * @throws UnsupportedError for a pipeline of another kind, of another task, or with more parts than are run
 */
export async function familyOfModel(model: OpenModel): Promise<Family> {
  const name = model.pipeline ?? '';
  const task = foreignTasks.get(name);
  if (task !== undefined) {
    throw new UnsupportedError(`${model.path} is for ${task} (${name}), which ertacache does not do.`, {
      hint: `It draws from text alone, with ${titles}.`,
    });
  }
  const transformer = model.components.get('transformer')?.className ?? '';
  const byName = familyOfPipeline(name);
  const family = byName ?? (modelClassNames().includes(transformer) ? familyOf(transformer) : undefined);
  if (!family) {
    throw new UnsupportedError(
      `${model.path} holds a ${name || 'pipeline without a name'}, which ertacache does not sample from.`,
      { hint: `It samples from ${titles}.` },
    );
  }
  if (!byName) note(`${model.path} holds a ${name}, which ertacache does not know: it is run as ${family.title}.`);
  checkFields(await readModelJson(model, MODEL_INDEX), family, fileIn(model.path, MODEL_INDEX));
  return family;
}

/** What an index says of a second transformer; `boundaryOf` reads it. */
const EXPERT_FIELDS = ['transformer_2', 'boundary_ratio'];

/** Every field of the index is one that is run, or says that there is nothing to run, or is told. */
function checkFields(index: unknown, { index: known }: Family, where: string): void {
  if (!isRecord(index)) return;
  // What is known and not run comes first: its sentence says more than that there is a part too many.
  const names = new Set([...Object.keys(known.unsupported ?? {}), ...Object.keys(index)]);
  for (const name of names) {
    const value = index[name] ?? null;
    if (name.startsWith('_') || known.parts.includes(name) || isNothing(value)) continue;
    if (known.experts && EXPERT_FIELDS.includes(name)) continue;
    const meaning = known.unsupported?.[name];
    if (meaning !== undefined || Array.isArray(value)) {
      throw new UnsupportedError(`${where} asks for ${meaning ?? 'a part'} (${name}), which ertacache does not run.`, {
        hint: 'Without it another picture would be drawn than the model is meant to: take another model.',
      });
    }
    note(`${where}: ertacache does not know ${name}, and ignores it.`);
  }
}

/** How an index says that there is no such part, and that an option is off. */
function isNothing(value: unknown): boolean {
  return value === null || value === false || (Array.isArray(value) && value.every(item => item === null));
}
