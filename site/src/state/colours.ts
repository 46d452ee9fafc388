import { DARK, LIGHT } from '../../../src/lab/report/page/style';

/** Gives the page the colours of the report of `ertacache compare`, so that the two look alike. */
export function reportColours(): void {
  const sheet = document.createElement('style');
  sheet.textContent =
    `:root{color-scheme:light;${LIGHT}}` +
    `@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;${DARK}}}` +
    `:root[data-theme=dark]{color-scheme:dark;${DARK}}`;
  document.head.prepend(sheet);
}
