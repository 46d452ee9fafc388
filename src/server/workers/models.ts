import { ErtaError, UsageError } from '../../errors';
import { type LoadModelOptions, loadModel } from '../../pipelines/load';
import type { Pipeline } from '../../sampling/pipeline';

/** What of a request decides which weights are in memory. */
export type Loading = Pick<LoadModelOptions, 'dtype' | 'variant' | 'tiling' | 'loras' | 'transformer' | 'transformer2'>;

/** Models in memory. */
export interface HeldModels {
  /** A model by its name, loaded where it is not there yet. It is lent until the next call. */
  take(name: string, loading?: Loading): Promise<Pipeline>;
  /** Names of those in memory. */
  names(): string[];
}

interface Held {
  readonly name: string;
  readonly model: Pipeline;
}

/**
 * @param folders the models' folders by their names; no other is loaded
 * @param most models that stay in memory; the one that was not used for longest goes first
 */
export function heldModels(folders: Readonly<Record<string, string>>, most: number): HeldModels {
  const held = new Map<string, Held>();
  const dropOldest = (): void => {
    const [key, oldest] = [...held][0] as [string, Held];
    oldest.model.dispose();
    held.delete(key);
  };
  async function load(folder: string, loading: Loading): Promise<Pipeline> {
    while (held.size >= most) dropOldest();
    try {
      return await loadModel(folder, loading);
    } catch (error) {
      if (!ErtaError.isInstance(error) || error.code !== 'memory' || held.size === 0) throw error;
      while (held.size > 0) dropOldest();
      return loadModel(folder, loading);
    }
  }
  return {
    async take(name, loading = {}) {
      const folder = Object.hasOwn(folders, name) ? folders[name] : undefined;
      if (folder === undefined) throw unknownModel(name, Object.keys(folders));
      const key = JSON.stringify([name, loading]);
      const model = held.get(key)?.model ?? (await load(folder, loading));
      // Put in anew: the map is in the order of use.
      held.delete(key);
      held.set(key, { name, model });
      return model;
    },
    names: () => [...held.values()].map(({ name }) => name),
  };
}

/** A model that is not served. */
export function unknownModel(name: string, known: readonly string[]): UsageError {
  return new UsageError(`There is no model "${name}".`, { hint: `Models: ${known.join(', ')}.` });
}
