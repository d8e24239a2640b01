/** The report as one HTML page that needs nothing else: a table, and plots as inline SVG. No scripts, no fonts, no links. */
import type { Report } from './report.js';
import { durationText, measuresOf, summaryLine } from './report-text.js';

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

interface Plot {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly xText: (x: number) => string;
  readonly yText: (y: number) => string;
  /** Least height of the vertical axis. */
  readonly top?: number;
}

/** Told apart by people who do not see all colours (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];
const colourOf = (index: number): string => colours[index % colours.length]!;
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`;

const width = 560;
const height = 240;
const inset = { left: 64, right: 12, top: 12, bottom: 28 };

function svgOf({ title, lines, xText, yText, top = 0 }: Plot): string {
  let right = 0;
  let high = top;
  for (const { points } of lines)
    for (const [x, y] of points) {
      right = Math.max(right, x);
      high = Math.max(high, y);
    }
  if (right === 0) right = 1;
  if (high === 0) high = 1;
  const toX = (x: number): number => inset.left + (x / right) * (width - inset.left - inset.right);
  const toY = (y: number): number => height - inset.bottom - (y / high) * (height - inset.top - inset.bottom);
  const steps = [0, 0.25, 0.5, 0.75, 1];
  const grid = steps.map(step => {
    const y = toY(step * high);
    return `<line class="grid" x1="${inset.left}" x2="${width - inset.right}" y1="${y}" y2="${y}"/><text x="${inset.left - 6}" y="${y + 4}" text-anchor="end">${escaped(yText(step * high))}</text>`;
  });
  const ticks = steps.map(
    step =>
      `<text x="${toX(step * right)}" y="${height - 8}" text-anchor="middle">${escaped(xText(step * right))}</text>`,
  );
  const curves = lines.map(({ name, points }, i) => {
    const path = points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ');
    return `<polyline fill="none" stroke="${colourOf(i)}" stroke-width="1.5" points="${path}"><title>${escaped(name)}</title></polyline>`;
  });
  return `<figure><figcaption>${escaped(title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">${[...grid, ...ticks, ...curves].join('')}</svg></figure>`;
}

function plotsOf({ policies }: Report): Plot[] {
  const first = policies[0]!;
  const overTime = (
    title: string,
    of: (sample: (typeof first.series)[number]) => number,
    rest: Pick<Plot, 'yText' | 'top'>,
  ): Plot => ({
    title,
    lines: policies.map(({ name, series }) => ({
      name,
      points: series.map(sample => [sample.at, of(sample)] as const),
    })),
    xText: durationText,
    ...rest,
  });
  const shares = { yText: percent, top: 1 };
  const number = { yText: (y: number) => `${Math.round(y)}` };
  return [
    ...Object.keys(first.utilisation).flatMap(resource => [
      overTime(`${resource} utilisation, mean of nodes`, sample => sample.utilisation[resource]!.mean, shares),
      overTime(`${resource} utilisation, deviation between nodes`, sample => sample.utilisation[resource]!.deviation, {
        yText: percent,
      }),
      overTime(`${resource} fragmentation`, sample => sample.fragmentation[resource]!, { yText: percent }),
    ]),
    overTime('pods that wait', sample => sample.waiting, number),
    overTime('pods that run', sample => sample.running, number),
    {
      title: 'waiting time, by share of pods',
      lines: policies.map(({ name, waitingCurve }) => ({
        name,
        points: waitingCurve.map((y, i) => [i / 100, y] as const),
      })),
      xText: percent,
      yText: durationText,
    },
    {
      title: 'cpu requested of each node at the end, fullest first',
      lines: policies.map(({ name, finalLoads }) => ({
        name,
        points: thinned(finalLoads).map(([i, y]) => [i, y] as const),
      })),
      xText: x => `${Math.round(x)}`,
      ...shares,
    },
  ];
}

/** A plot is a few hundred pixels wide. */
function thinned(values: readonly number[]): [number, number][] {
  const step = Math.max(1, Math.floor(values.length / 400));
  return values.flatMap((value, i): [number, number][] =>
    i % step === 0 || i === values.length - 1 ? [[i, value]] : [],
  );
}

const style = `body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child{text-align:left;font-weight:normal}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1rem;margin-top:2rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}.grid{stroke:#e5e5e5}
.key span{display:inline-block;width:1.2em;height:.25em;vertical-align:middle;margin:0 .4em 0 1em}`;

/** A whole page. */
export function reportHtml(report: Report): string {
  const { name, policies } = report;
  const head = policies.map(each => `<th scope="col">${escaped(each.name)}</th>`).join('');
  const rows = measuresOf(report).map(
    ({ title, of }) =>
      `<tr><th scope="row">${escaped(title)}</th>${policies.map(each => `<td>${escaped(of(each))}</td>`).join('')}</tr>`,
  );
  const key = policies
    .map((each, i) => `<span style="background:${colourOf(i)}"></span>${escaped(each.name)}`)
    .join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(name)}</title><style>${style}</style></head>
<body><h1>${escaped(name)}</h1><p>${escaped(summaryLine(report))}</p>
<table><thead><tr><th></th>${head}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
<div class="plots"><p class="key" style="grid-column:1/-1">${key}</p>
${plotsOf(report).map(svgOf).join('\n')}
</div></body></html>
`;
}
