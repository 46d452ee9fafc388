import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { type Markup, raw } from './html';

const FACE = 'ui-sans-serif, system-ui, sans-serif';

/** Colours are the page's own variables, so that charts follow light and dark. */
const theme = {
  background: 'transparent',
  padding: { left: 2, right: 6, top: 6, bottom: 2 },
  config: {
    font: FACE,
    view: { stroke: null },
    axis: {
      labelColor: 'var(--quiet)',
      titleColor: 'var(--quiet)',
      labelFontSize: 12,
      titleFontSize: 12.5,
      titleFontWeight: 'normal',
      titlePadding: 8,
      gridColor: 'var(--line)',
      domainColor: 'var(--line)',
      tickColor: 'var(--line)',
      tickSize: 4,
    },
    text: { font: FACE, fontSize: 12, fill: 'var(--quiet)' },
  },
} as const;

/** What a chart says of itself to vega-lite, without the page's own look. */
export type ChartSpec = TopLevelSpec;

/**
 * A chart as an SVG picture in the page.
 * @param label what it shows, for those who cannot see it
 */
export async function drawChart(spec: ChartSpec, label: string): Promise<Markup> {
  const { spec: compiled } = compile({ ...theme, ...spec } as TopLevelSpec);
  const view = new View(parse(compiled), { renderer: 'none' });
  const svg = await view.toSVG().finally(() => view.finalize());
  return raw(inlined(svg, label));
}

/** The SVG for use inside HTML: no namespaces, no fixed size, one description instead of one for every mark. */
function inlined(svg: string, label: string): string {
  const [width, height] = [/ width="([\d.]+)"/.exec(svg)?.[1], / height="([\d.]+)"/.exec(svg)?.[1]];
  const text = label.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  return svg
    .replace(/<svg [^>]*>/, `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${text}">`)
    .replace(
      / (?:role="graphics-[^"]*"|aria-roledescription="[^"]*"|aria-label="[^"]*"|aria-hidden="true")/g,
      (found, at) => (at < svg.indexOf('>') ? found : ''),
    );
}
