import { scaleLinear } from 'd3-scale';
import {
  area,
  line,
  type SymbolType,
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolTimes,
  symbolTriangle,
} from 'd3-shape';
import type { Summary } from 'ertacache/browser';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Look, lookOf, type Mark } from '../../../src/lab/report/page/palette';

/** What the curves show. */
export interface Axis {
  readonly title: string;
  readonly of: (row: Summary) => { readonly mean: number; readonly low: number; readonly high: number };
  /** Where a value is drawn. */
  readonly place: (value: number) => number;
  /** What stands at a place. */
  readonly label: (place: number) => string;
  /** A level worth a line. */
  readonly mark?: number;
}

interface CurvesProps {
  readonly rows: readonly Summary[];
  readonly methods: readonly string[];
  readonly axis: Axis;
  readonly label: string;
}

const MARKS: Readonly<Record<Mark, SymbolType>> = {
  circle: symbolCircle,
  square: symbolSquare,
  diamond: symbolDiamond,
  'triangle-up': symbolTriangle,
  'triangle-down': symbolTriangle,
  cross: symbolTimes,
};
const HEIGHT = 320;
const MARGIN = { top: 22, right: 16, bottom: 44, left: 52 };

/** A likeness against forward passes, a line for each method, with the 95 % band of its mean. */
export function Curves({ rows, methods, axis, label }: CurvesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(() => setWidth(Math.max(280, element.clientWidth)));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  const passes = rows.map(row => row.forwards);
  const budgets = [...new Set(rows.map(row => row.budget))];
  const values = rows.flatMap(row => [axis.of(row).low, axis.of(row).mean, axis.of(row).high].map(axis.place));
  const x = scaleLinear()
    .domain([Math.min(...passes, ...budgets) - 0.6, Math.max(...passes, ...budgets) + 0.6])
    .range([MARGIN.left, width - MARGIN.right]);
  const y = scaleLinear()
    .domain([Math.min(...values), Math.max(...values)])
    .range([HEIGHT - MARGIN.bottom, MARGIN.top])
    .nice(6);
  const curves = methods.flatMap((method, i) => {
    const own = rows.filter(row => row.method === method).sort((a, b) => a.forwards - b.forwards);
    return own.length > 0 ? [{ method, look: lookOf(method, i), own }] : [];
  });
  const at = (row: Summary): number => x(row.forwards);
  const height = (pick: 'low' | 'mean' | 'high') => (row: Summary) => y(axis.place(axis.of(row)[pick]));
  const level = axis.mark === undefined ? undefined : axis.place(axis.mark);
  const [bottom = 0, top = 0] = y.domain();

  return (
    <div ref={box} class="curves">
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT} role="img" aria-label={label}>
        {y.ticks(6).map(tick => (
          <g key={tick}>
            <path class="grid" d={`M${MARGIN.left},${y(tick)}H${width - MARGIN.right}`} />
            <text x={MARGIN.left - 9} y={y(tick)} dy="0.32em" text-anchor="end">
              {axis.label(tick)}
            </text>
          </g>
        ))}
        {budgets.map(budget => (
          <text key={budget} x={x(budget)} y={HEIGHT - MARGIN.bottom + 20} text-anchor="middle">
            {budget}
          </text>
        ))}
        {level !== undefined && level > bottom && level < top && (
          <path class="level" d={`M${MARGIN.left},${y(level)}H${width - MARGIN.right}`} />
        )}
        <text class="name" x={width - MARGIN.right} y={HEIGHT - 6} text-anchor="end">
          forward passes
        </text>
        <text class="name" x={2} y={12}>
          {axis.title}
        </text>
        {curves.map(({ method, look, own }) => (
          <g key={method} style={{ color: look.colour }}>
            <path class="band" d={area<Summary>(at, height('low'), height('high'))(own) ?? ''} />
            <path
              class="line"
              stroke-width={look.strong ? 3 : 1.8}
              stroke-dasharray={look.dash.join(' ')}
              d={line<Summary>(at, height('mean'))(own) ?? ''}
            />
            {own.map(row => (
              <MarkAt key={row.budget} look={look} x={at(row)} y={height('mean')(row)} />
            ))}
          </g>
        ))}
      </svg>
    </div>
  );
}

function MarkAt({ look, x, y }: { readonly look: Look; readonly x: number; readonly y: number }) {
  const turn = look.mark === 'triangle-down' ? ' rotate(180)' : '';
  return (
    <path
      fill={look.mark === 'cross' ? 'none' : 'currentColor'}
      stroke="currentColor"
      stroke-width={look.mark === 'cross' ? 2 : 0}
      transform={`translate(${x} ${y})${turn}`}
      d={symbol(MARKS[look.mark], look.strong ? 74 : 52)() ?? ''}
    />
  );
}

/** A short piece of a method's line, with its mark. */
export function Sample({ method, place = 0 }: { readonly method: string; readonly place?: number }) {
  const look = lookOf(method, place);
  return (
    <svg class="sample" viewBox="0 0 34 14" aria-hidden="true" style={{ color: look.colour }}>
      <path class="line" d="M0 7H34" stroke-width={look.strong ? 3 : 1.8} stroke-dasharray={look.dash.join(' ')} />
      <MarkAt look={look} x={17} y={7} />
    </svg>
  );
}
