import { sha256Stream } from '../io/sha256';
import { contentHash } from '../weights/content-hash';
import type { ModelComponent } from '../weights/model-folder';

/** Identifies weights and schedule together: what a policy is calibrated for. */
export async function combinedHash(components: readonly ModelComponent[], scheduler: object): Promise<string> {
  const hash = sha256Stream();
  for (const component of components) hash.update(`${await contentHash(component)}\n`);
  return hash.update(JSON.stringify(scheduler)).digest();
}
