/** How text looks. */
export interface TextStyle {
  size: number;
  colour: string;
  bold?: boolean;
}

/** Text laid out for an SVG drawing: one entry per line. */
export interface TextBlock {
  lines: string[];
  /** Width of the longest line, in pixels, on the safe side. */
  width: number;
}

/** Widths of characters in a common sans face, as parts of the font size; the widest faces in use set them. */
const WIDTHS: readonly (readonly [characters: RegExp, width: number])[] = [
  [/[ijl'|.,:;!]/, 0.34],
  [/[ftr()[\]/\\\- "·]/, 0.42],
  [/[mwMW@%—…]/, 0.98],
  [/[A-Z&#=+<>~×→]/, 0.76],
  [/[\x20-\x7e]/, 0.63],
];

/** Bold letters are wider by about this. */
const BOLD = 1.1;

/** Width of one line in pixels: an estimate, because the face is only known to whoever draws it. */
export function textWidth(text: string, { size, bold }: TextStyle): number {
  let width = 0;
  for (const character of text) {
    // What is not Latin (CJK, emoji) is as wide as it is high.
    width += WIDTHS.find(([characters]) => characters.test(character))?.[1] ?? 1;
  }
  return width * size * (bold ? BOLD : 1);
}

/** Breaks `text` at spaces into at most `maxLines` lines of `maxWidth` pixels; what does not fit ends in `…`. */
export function wrapText(text: string, style: TextStyle, maxWidth: number, maxLines: number): TextBlock {
  const fits = (line: string) => textWidth(line, style) <= maxWidth;
  const words = text.split(/\s+/).filter(word => word !== '');
  const lines: string[] = [];
  while (words.length > 0 && lines.length < maxLines) {
    let line = words.shift()!;
    while (words.length > 0 && fits(`${line} ${words[0]}`)) line = `${line} ${words.shift()}`;
    lines.push(line);
  }
  const last = lines.length - 1;
  if (words.length > 0) lines[last] = `${lines[last]} …`;
  const shortened = lines.map(line => shorten(line, fits));
  return { lines: shortened, width: Math.max(0, ...shortened.map(line => textWidth(line, style))) };
}

function shorten(line: string, fits: (line: string) => boolean): string {
  if (fits(line)) return line;
  const characters = [...line.replace(/ …$/, '')];
  while (characters.length > 1 && !fits(`${characters.join('')}…`)) characters.pop();
  return `${characters.join('').trimEnd()}…`;
}

/** `text` with the characters that XML claims written as entities, and those it forbids left out. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

const LINE_HEIGHT = 1.3;

/** Height of a block in pixels; 0 when it has no lines. */
export function blockHeight(block: TextBlock, { size }: TextStyle): number {
  return Math.ceil(block.lines.length * size * LINE_HEIGHT);
}

/** SVG of a block whose top is at `y`; `x` is its left edge, or its middle where it is centred. */
export function drawText(block: TextBlock, x: number, y: number, style: TextStyle, centred = false): string[] {
  const attributes = [
    `font-size="${style.size}"`,
    `fill="${style.colour}"`,
    ...(style.bold ? ['font-weight="bold"'] : []),
    ...(centred ? ['text-anchor="middle"'] : []),
  ].join(' ');
  return block.lines.map((line, i) => {
    const baseline = y + (i + 0.5) * style.size * LINE_HEIGHT + 0.36 * style.size;
    return `<text x="${x}" y="${baseline.toFixed(1)}" ${attributes}>${escapeXml(line)}</text>`;
  });
}
