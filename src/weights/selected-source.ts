import type { TensorSource } from './source';

/** A checkpoint without the tensors whose names match: they are neither listed nor read. */
export function withoutTensors(source: TensorSource, patterns: readonly RegExp[]): TensorSource {
  const isLeft = (name: string): boolean => !patterns.some(pattern => pattern.test(name));
  const names = source.names.filter(isLeft);
  if (names.length === source.names.length) return source;
  return { ...source, names, has: name => isLeft(name) && source.has(name) };
}
