/** Tables between marks in a Markdown file: `<!-- table NAME -->` and `<!-- end NAME -->`. */
import { readFileSync, writeFileSync } from 'node:fs';

export type Row = readonly string[];

export function markdown(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** `text` with what stands between the marks of a table replaced. @throws Error where it has no such marks */
export function withTable(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- table ${name} -->`, `<!-- end ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`There are no marks of a table called ${name}.`);
  return `${text.slice(0, from + begin.length)}\n\n${content.trim()}\n\n${text.slice(to)}`;
}

export function writeTable(file: string, name: string, content: string): void {
  writeFileSync(file, withTable(readFileSync(file, 'utf8'), name, content));
}
