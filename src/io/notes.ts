import { printable } from '../printable';

const told = new Set<string>();

/**
 * Tells people something that is no error but should not pass in silence, once: on stderr, or a page's console.
 * @param about what it is about, where the same may be told in other words
 */
export function note(text: string, about = text): void {
  if (told.has(about)) return;
  told.add(about);
  console.warn(printable(text));
}
