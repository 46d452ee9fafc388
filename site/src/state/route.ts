import { signal } from '@preact/signals';
import { formatLink, type Link, parseLink, type Screen } from './link';

/** What the address says. */
export const link = signal<Link>(parseLink(location.hash));

/** Changes a part of the state; the address follows without a new entry in the history. */
export function change(part: Partial<Link>): void {
  link.value = { ...link.value, ...part };
  history.replaceState(null, '', formatLink(link.value));
}

/** The address of a screen with the state of this one. */
export const addressOf = (screen: Screen, part: Partial<Link> = {}): string =>
  formatLink({ ...link.value, ...part, screen });

// Links between screens, the back button, and an address that is typed.
addEventListener('hashchange', () => {
  link.value = parseLink(location.hash);
});
