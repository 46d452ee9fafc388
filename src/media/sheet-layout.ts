import { type Image, imageSize } from './pixels';
import { blockHeight, drawText, type TextBlock, type TextStyle, textWidth, wrapText } from './text';

/** One row of a sheet: what it shows, and its pictures. */
export interface SheetRow {
  /** Drawn bold to the left of the row. */
  header: string;
  /** A second, quieter part of the header. */
  note?: string;
  images: readonly Image[];
  /** A line under each picture, such as its PSNR. */
  captions?: readonly string[];
}

/** Pictures in rows and columns, with words around them. */
export interface Sheet {
  title?: string;
  subtitle?: string;
  /** A label above each column. */
  columns?: readonly string[];
  rows: readonly SheetRow[];
  /** A quiet line at the foot: the command, the machine, the model. */
  footer?: string;
  /** The longest side of a picture on the sheet, in pixels; 192 unless given. */
  cell?: number;
}

/** A picture and where it goes on the sheet, in pixels. */
export interface PlacedImage {
  image: Image;
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A sheet ready to be painted: its words as SVG, its pictures in their places. */
export interface Layout {
  width: number;
  height: number;
  background: string;
  svg: string;
  images: readonly PlacedImage[];
}

const FACES = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
const BACKGROUND = '#f7f8fa';
const OUTLINE = '#d3d8df';
const STYLE = {
  title: { size: 24, colour: '#14181f', bold: true },
  subtitle: { size: 15, colour: '#5f6b7a' },
  label: { size: 15, colour: '#1f2630', bold: true },
  note: { size: 13, colour: '#5f6b7a' },
  footer: { size: 12, colour: '#7b8694' },
} satisfies Record<string, TextStyle>;

const MARGIN = 36;
const GAP = 16;
const HEADER_WIDTH = 200;
const NARROWEST_COLUMN = 96;

interface Column {
  left: number;
  width: number;
}

/** What has been drawn so far, and the height it has reached. */
interface Page {
  y: number;
  words: string[];
  images: PlacedImage[];
}

/** Finds the place of everything on a sheet, from top to bottom. */
export function layOut(sheet: Sheet): Layout {
  const cell = sheet.cell ?? 192;
  const columns = placeColumns(sheet, cell);
  const width = pageWidth(sheet, columns);
  const page: Page = { y: MARGIN, words: [], images: [] };

  drawLine(page, sheet.title, STYLE.title, width);
  drawLine(page, sheet.subtitle, STYLE.subtitle, width);
  if (page.y > MARGIN) page.y += 20;
  drawColumnLabels(page, sheet.columns ?? [], columns);
  for (const row of sheet.rows) drawRow(page, row, columns, cell);
  if (sheet.footer) page.y += 6;
  drawLine(page, sheet.footer, STYLE.footer, width);

  const height = Math.ceil(page.y + MARGIN - (sheet.footer ? 10 : GAP));
  return { width, height, background: BACKGROUND, svg: toSvg(page, width, height), images: page.images };
}

function placeColumns({ rows, columns = [] }: Sheet, cell: number): Column[] {
  const count = Math.max(columns.length, ...rows.map(row => row.images.length));
  const blocks = rows.flatMap(row => Object.values(headerBlocks(row)));
  const headers = Math.ceil(Math.max(0, ...blocks.map(block => block.width)));
  let left = MARGIN + (headers > 0 ? headers + 20 : 0);
  return Array.from({ length: count }, (_, c) => {
    const shown = rows.flatMap(row => (row.images[c] ? [fitted(row.images[c], cell).width] : []));
    const column = { left, width: Math.max(NARROWEST_COLUMN, ...shown) };
    left += column.width + GAP;
    return column;
  });
}

/** The pictures set the width; long lines may widen a narrow sheet somewhat before they wrap. */
function pageWidth({ title = '', subtitle = '', footer = '' }: Sheet, columns: readonly Column[]): number {
  const last = columns.at(-1);
  const pictures = last ? last.left + last.width : MARGIN;
  const words = Math.max(
    textWidth(title, STYLE.title),
    textWidth(subtitle, STYLE.subtitle),
    textWidth(footer, STYLE.footer),
  );
  return Math.ceil(Math.max(pictures, Math.min(MARGIN + words, 1.3 * pictures))) + MARGIN;
}

function drawLine(page: Page, text: string | undefined, style: TextStyle, width: number): void {
  if (!text) return;
  const block = wrapText(text, style, width - 2 * MARGIN, 2);
  page.words.push(...drawText(block, MARGIN, page.y, style));
  page.y += blockHeight(block, style) + 4;
}

function drawColumnLabels(page: Page, labels: readonly string[], columns: readonly Column[]): void {
  const blocks = labels.map((label, c) => wrapText(label, STYLE.label, columns[c]!.width, 3));
  page.y += Math.max(0, ...blocks.map(block => blockHeight(block, STYLE.label)));
  for (const [c, block] of blocks.entries()) drawCentred(page, block, columns[c]!, STYLE.label, 'above');
  if (labels.length > 0) page.y += 8;
}

function drawRow(page: Page, row: SheetRow, columns: readonly Column[], cell: number): void {
  const { header, note } = headerBlocks(row);
  const headerHeight = blockHeight(header, STYLE.label);
  const wordsHeight = headerHeight + blockHeight(note, STYLE.note);
  const sizes = row.images.map(image => fitted(image, cell));
  const height = Math.max(wordsHeight, ...sizes.map(size => size.height));

  const top = page.y + (height - wordsHeight) / 2;
  page.words.push(...drawText(header, MARGIN, top, STYLE.label));
  page.words.push(...drawText(note, MARGIN, top + headerHeight, STYLE.note));
  for (const [c, image] of row.images.entries()) {
    const size = sizes[c]!;
    const left = columns[c]!.left + Math.floor((columns[c]!.width - size.width) / 2);
    page.images.push({ image, left, top: Math.floor(page.y + (height - size.height) / 2), ...size });
  }
  page.y += height;

  const captions = (row.captions ?? []).map((text, c) => wrapText(text, STYLE.note, columns[c]!.width, 2));
  if (captions.length > 0) page.y += 5;
  for (const [c, block] of captions.entries()) drawCentred(page, block, columns[c]!, STYLE.note, 'below');
  page.y += Math.max(0, ...captions.map(block => blockHeight(block, STYLE.note))) + GAP;
}

function drawCentred(page: Page, block: TextBlock, column: Column, style: TextStyle, side: 'above' | 'below'): void {
  const top = side === 'above' ? page.y - blockHeight(block, style) : page.y;
  page.words.push(...drawText(block, column.left + column.width / 2, top, style, true));
}

function headerBlocks(row: SheetRow): { header: TextBlock; note: TextBlock } {
  return {
    header: wrapText(row.header, STYLE.label, HEADER_WIDTH, 3),
    note: wrapText(row.note ?? '', STYLE.note, HEADER_WIDTH, 3),
  };
}

/** Size at which a picture is shown: the largest whole multiple that fits in a cell, or reduced to fit. */
function fitted(image: Image, cell: number): { width: number; height: number } {
  const { width, height } = imageSize(image);
  const room = cell / Math.max(width, height);
  const scale = room >= 1 ? Math.floor(room) : room;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function toSvg({ words, images }: Page, width: number, height: number): string {
  const outlines = images.map(
    at =>
      `<rect x="${at.left - 0.5}" y="${at.top - 0.5}" width="${at.width + 1}" height="${at.height + 1}" ` +
      `fill="none" stroke="${OUTLINE}"/>`,
  );
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FACES}">`;
  return [open, ...outlines, ...words, '</svg>'].join('\n');
}
