import type { TensorSource } from './source';

/** What programs put in front of the names of a transformer, one or several of them. */
const WRAPPERS = ['model.diffusion_model.', 'diffusion_model.', 'transformer.', '_orig_mod.', 'module.'];

/** Names of the other parts of a pipeline that ComfyUI keeps in one file with the transformer. */
const OTHER_PARTS = /^(vae|text_encoders)\./;

/** The tensors whose names begin with `prefix`, without it. The files beneath stay those of `source`. */
export function underPrefix(source: TensorSource, prefix: string): TensorSource {
  const names = source.names.filter(name => name.startsWith(prefix)).map(name => name.slice(prefix.length));
  const held = new Set(names);
  // A name that is not there is left without the prefix, so that errors name what was asked for.
  const original = (name: string): string => (held.has(name) ? prefix + name : name);
  return {
    ...source,
    names,
    has: name => held.has(name),
    entry: name => source.entry(original(name)),
    read: (name, slice) => source.read(original(name), slice),
    readInts: (name, slice) => source.readInts(original(name), slice),
    readRaw: (name, slice) => source.readRaw(original(name), slice),
    readInto: (name, target, slice) => source.readInto(original(name), target, slice),
    widen: (name, bytes, start) => source.widen(original(name), bytes, start),
  };
}

/** The transformer of a checkpoint whose names stand behind prefixes, in a file of its own or beside other parts. */
export function unwrapped(source: TensorSource): TensorSource {
  const prefix = WRAPPERS.find(wrapper => {
    const others = source.names.filter(name => !name.startsWith(wrapper));
    return others.length < source.names.length && others.every(name => OTHER_PARTS.test(name));
  });
  return prefix === undefined ? source : unwrapped(underPrefix(source, prefix));
}
