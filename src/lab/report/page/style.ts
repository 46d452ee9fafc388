import { COLOURS } from './palette';

const shades = (which: 0 | 1): string =>
  Object.entries(COLOURS)
    .map(([name, pair]) => `--${name}:${pair[which]}`)
    .join(';');

/** The colours of the light page, as CSS variables. */
export const LIGHT = `${shades(0)};--paper:#fcfcfa;--sheet:#ffffff;--text:#1b212b;--quiet:#596273;--line:#e2e4e8;--ground:#eceef1;--tint:#fdf1ea`;
/** Those of the dark one. */
export const DARK = `${shades(1)};--paper:#12151a;--sheet:#191d24;--text:#e8ebf0;--quiet:#9ba5b4;--line:#2b313b;--ground:#262b34;--tint:#2b211b`;

/** The page's style sheet. */
export const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--text);font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 24px}
header{padding-top:56px}
.over{margin:0 0 10px;color:var(--vermilion);font-weight:600;font-size:14px;letter-spacing:.04em}
h1{margin:0 0 18px;font-size:clamp(28px,5vw,44px);line-height:1.12;letter-spacing:-.022em;text-wrap:balance}
h2{margin:0 0 8px;font-size:24px;line-height:1.25;letter-spacing:-.012em}
h3{margin:26px 0 8px;font-size:15px;font-weight:600}
p{margin:0 0 14px;max-width:72ch;text-wrap:pretty}
section>p{color:var(--quiet)}
.lede{font-size:18px;max-width:66ch}
section{padding:44px 0 0}
small{color:var(--quiet);font-size:12.5px}
em{color:var(--quiet)}
nav{margin:26px 0 0;display:flex;flex-wrap:wrap;gap:6px 18px;font-size:14px}
nav a{color:var(--quiet);text-decoration:none;border-bottom:1px solid var(--line)}
nav a:hover,nav a:focus-visible{color:var(--text);border-color:currentColor}
.notice{margin:22px 0 0;padding:10px 14px;border-left:3px solid var(--gold);background:var(--ground)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:14px;margin:30px 0 0;padding:0;list-style:none}
.tiles li{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:18px 20px}
.tiles b{display:block;font-size:34px;line-height:1.15;letter-spacing:-.02em}
.tiles b small{font-size:17px;font-weight:500;letter-spacing:0}
.tiles .what{font-size:14px;font-weight:600}
.tiles p{margin:8px 0 0;font-size:14px;line-height:1.45;color:var(--quiet)}
figure{margin:0;background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:14px 12px 8px;min-width:0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}
.chart{display:block;width:100%;height:auto;overflow:visible}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;margin:4px 0 16px;padding:0;list-style:none;font-size:14px}
.legend li{display:flex;align-items:center;gap:8px}
.sample{width:34px;height:14px;flex:none}
.strong{font-weight:650}
.strips,.bars{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:14px 18px}
.strip,.bar{display:grid;grid-template-columns:190px 1fr 64px;gap:2px 16px;align-items:center;padding:4px 0;font-size:14px;line-height:1.3}
.strip svg{display:block;width:100%;height:16px;fill:currentColor;border-radius:3px}
.strip .ground{fill:var(--ground)}
.strip .count{text-align:right}
.head{color:var(--quiet);font-size:12.5px}
.scale{display:flex;justify-content:space-between}
.bar{grid-template-columns:190px 1fr 210px}
.track{display:block;height:14px;border-radius:3px;background:var(--ground);overflow:hidden}
.track i{display:block;height:100%;border-radius:3px}
details{margin:14px 0 0;border:1px solid var(--line);border-radius:12px;background:var(--sheet)}
summary{padding:12px 18px;cursor:pointer;font-weight:600;font-size:15px}
details[open]>summary{border-bottom:1px solid var(--line)}
.scroll{overflow-x:auto;overscroll-behavior-x:contain}
.scroll:focus-visible{outline:2px solid var(--vermilion);outline-offset:2px}
table{border-collapse:collapse;font-size:13.5px;line-height:1.35}
th{font-weight:500;text-align:left}
.pictures{margin:0 auto 0 0}
.pictures thead th{padding:12px 6px 8px;font-size:12.5px;line-height:1.25;color:var(--quiet);text-align:center;vertical-align:bottom;width:88px;min-width:88px}
.pictures th:first-child{position:sticky;left:0;z-index:1;background:var(--sheet);padding:8px 12px 8px 18px;text-align:left;width:120px;min-width:110px}
.pictures tbody th{vertical-align:top;padding-top:34px}
.pictures tbody th small{display:block}
.pictures td{padding:6px;text-align:center;vertical-align:top}
.pictures img{display:block;width:84px;height:auto;margin:0 auto 3px;border-radius:4px;image-rendering:pixelated;background:var(--ground)}
.heat-legend{display:flex;flex-wrap:wrap;align-items:start;gap:4px 14px;font-size:13px;line-height:1.3;color:var(--quiet)}
.heat-legend span{display:grid;grid-template-columns:repeat(4,60px);justify-items:center}
.heat-legend i{grid-column:1/-1;justify-self:stretch;margin:3px 30px 4px;height:10px;border-radius:3px}
.heat-legend b{font-weight:400;font-size:12px}
@media (min-width:1140px){#numbers .scroll{width:min(1320px,100vw - 60px);position:relative;left:50%;transform:translateX(-50%)}}
.numbers{width:100%;background:var(--sheet)}
#numbers .scroll,#glance .scroll{border:1px solid var(--line);border-radius:12px;background:var(--sheet)}
.numbers th,.numbers td{padding:7px 9px;white-space:nowrap;border-top:1px solid var(--line);vertical-align:baseline}
.numbers thead th{border:0;color:var(--quiet);font-size:12.5px;text-align:right;white-space:normal;vertical-align:bottom}
.numbers th:first-child{text-align:left;position:sticky;left:0;background:var(--sheet);padding-left:18px}
.numbers thead tr+tr th:first-child{position:static;padding-left:9px;text-align:right}
.numbers thead th[scope=colgroup]{text-align:center;border-left:1px solid var(--line)}
.numbers tbody th small{display:block;font-weight:400}
.numbers td{text-align:right}
.numbers td small{margin-left:5px}
.numbers .budget th{padding-top:18px;font-weight:650;background:var(--sheet)}
.numbers .best{font-weight:700}
.numbers tr.strong th,.numbers tr.strong td{background:var(--tint)}
.numbers tr.strong td{font-weight:400}
.numbers tr.strong .best{font-weight:700}
.numbers .why{text-align:left;white-space:normal;color:var(--quiet)}
dl{margin:0;display:grid;grid-template-columns:190px 1fr;gap:6px 16px;font-size:15px}
dt{font-weight:600}
dd{margin:0;overflow-wrap:anywhere}
.facts{grid-template-columns:120px 1fr;font-size:14px}
.facts dt{color:var(--quiet);font-weight:400}
pre{margin:16px 0 0;padding:12px 16px;border:1px solid var(--line);border-radius:10px;background:var(--ground);white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{padding-top:48px;padding-bottom:48px;color:var(--quiet);font-size:13.5px}
@media (max-width:640px){
main,header,footer{padding-left:16px;padding-right:16px}
header{padding-top:32px}
.strip,.bar{grid-template-columns:1fr auto;padding:6px 0}
.strip svg,.track{grid-column:1/-1;grid-row:2}
.head .scale{grid-column:1;grid-row:1}
.head .name{display:none}
figure{padding:10px 4px 4px}
dl,.facts{grid-template-columns:1fr;gap:0}
dd{margin-bottom:10px}
.pictures th:first-child{min-width:84px;width:84px;padding-left:10px;padding-right:6px}
.numbers th:first-child{padding-left:12px;max-width:132px;white-space:normal}
}
@media print{
:root{color-scheme:light;${LIGHT};--paper:#fff}
body{font-size:11pt}
main,header,footer{max-width:none;padding-left:1px;padding-right:1px}
header{padding-top:0}
nav{display:none}
section{padding-top:22pt;break-inside:auto}
h2,h3{break-after:avoid}
.pair{grid-template-columns:1fr 1fr}
figure,.strips,.bars,.tiles li,tr,details{break-inside:avoid}
.scroll,#numbers .scroll{overflow:visible;width:auto;left:0;transform:none}
.pictures img{width:46px}
.pictures thead th{width:50px;min-width:0;font-size:7pt}
.pictures th:first-child,.numbers th:first-child{position:static}
.pictures td{padding:2px;font-size:7.5pt}
table{font-size:7pt}
.numbers th,.numbers td{padding:2px 3px}
.numbers th:first-child{padding-left:6px}
.numbers thead th{font-size:6.5pt}
.numbers td small,.numbers tbody th small,.pictures th small{margin-left:2px;font-size:6pt}
.numbers tbody th small{margin-left:0}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
`;
