import { CheckpointError } from '../errors';
import { cogVideoX } from './cogvideox';
import type { Family } from './family';
import { chroma, flux } from './flux';
import { miniT2I } from './minit2i';
import { openSora } from './open-sora';
import { wan } from './wan';

/** Every family of models. A new one is a folder beside this file and a line here. */
export const families = [flux, chroma, wan, cogVideoX, openSora, miniT2I] as const satisfies readonly Family[];

/** Class names of the transformers that can be run. */
export type ModelClassName = (typeof families)[number]['className'];

const byClass = new Map<string, Family>(families.map(family => [family.className, family]));

/**
 * Class names of the transformers that can be run.
 * @returns names as diffusers gives them
 */
export function modelClassNames(): string[] {
  return [...byClass.keys()];
}

/**
 * The family of a transformer's class.
 * @param className as the transformer's `config.json` names it, such as `FluxTransformer2DModel`
 * @returns the family
 * @throws CheckpointError naming a class that ertacache does not know
 */
export function familyOf(className: string): Family {
  const found = byClass.get(className);
  if (found) return found;
  throw new CheckpointError('config_class', `The class "${className}" is not one that ertacache runs.`, {
    hint: `Known classes: ${modelClassNames().join(', ')}.`,
  });
}

/** The family of a published pipeline, by the class that `model_index.json` names. */
export function familyOfPipeline(pipelineClass: string): Family | undefined {
  return families.find(family => family.pipelineClasses.includes(pipelineClass));
}
