import { ConfigError } from '../errors';
import { families } from './families';
import type { Preset } from './preset';

const byName = new Map<string, Preset>(families.flatMap(family => family.presets).map(preset => [preset.name, preset]));

/** Names of all published models whose configuration is known. */
export function presetNames(): string[] {
  return [...byName.keys()];
}

/** @throws ConfigError naming the presets there are */
export function preset(name: string): Preset {
  const found = byName.get(name);
  if (found) return found;
  throw new ConfigError(`There is no preset "${name}".`, { hint: `Presets: ${presetNames().join(', ')}.` });
}
