import { signal } from '@preact/signals';

const said = signal('');

/** Says a sentence to those who hear the page. */
export function announce(text: string): void {
  said.value = text;
}

/** Where sentences for screen readers appear. */
export function Announcer() {
  return (
    <div class="hidden" role="status" aria-live="polite">
      {said.value}
    </div>
  );
}
