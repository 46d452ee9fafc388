import { html, type Markup, raw } from './html';
import type { Look } from './palette';

/** Names beside how they are drawn; a list of text, so that it wraps and can be searched. */
export function legend(methods: readonly string[], names: readonly string[], looks: ReadonlyMap<string, Look>): Markup {
  const items = methods.map((method, i) => {
    const look = looks.get(method) as Look;
    return html`<li${raw(look.strong ? ' class="strong"' : '')}>${sample(look)}${names[i]}</li>`;
  });
  return html`<ul class="legend">${items}</ul>`;
}

const MARKS: Readonly<Record<Look['mark'], string>> = {
  circle: 'M17,2.6a4.4,4.4 0 1 0 .01,0Z',
  square: 'M13,3h8v8h-8Z',
  diamond: 'M17,1.5l5.2,5.5l-5.2,5.5l-5.2,-5.5Z',
  'triangle-up': 'M17,2l5,9h-10Z',
  'triangle-down': 'M17,12l5,-9h-10Z',
  cross: 'M15.4,2.4h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z',
};

/** A short piece of a method's line with its mark. */
function sample(look: Look): Markup {
  const dash = look.dash.length > 0 ? ` stroke-dasharray="${look.dash.join(' ')}"` : '';
  return raw(
    `<svg class="sample" viewBox="0 0 34 14" aria-hidden="true" style="color:${look.colour}">` +
      `<path d="M0,7H34" stroke="currentColor" stroke-width="${look.strong ? 3 : 1.8}"${dash}/>` +
      `<path d="${MARKS[look.mark]}" fill="currentColor"/></svg>`,
  );
}
