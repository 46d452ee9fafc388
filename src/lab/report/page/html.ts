/** Text that is HTML already. */
export interface Markup {
  readonly markup: string;
}

type Part = Markup | string | number | undefined | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** `text` with what HTML would read as its own written as entities. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character] as string);
}

/** HTML from a template: values are escaped unless they are markup; lists are joined, undefined is nothing. */
export function html(texts: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return { markup: texts.map((text, i) => text + (i < values.length ? rendered(values[i]) : '')).join('') };
}

/** HTML that was made elsewhere and is trusted. */
export const raw = (markup: string): Markup => ({ markup });

function rendered(part: Part): string {
  if (part === undefined) return '';
  if (typeof part === 'string') return escaped(part);
  if (typeof part === 'number') return String(part);
  return 'markup' in part ? part.markup : part.map(rendered).join('');
}
