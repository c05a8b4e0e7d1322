/** The few words of SVG that the charts are written in, and a time axis that all of them share. */

export interface Axis {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of every chart: where its drawing begins and ends, in the units of the picture. */
export const WIDTH = 1100;
export const LEFT = 110;
const RIGHT = 12;
const ABOVE = 8;
const BELOW = 36;
const TICKS_WANTED = 10;
const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, 120_000, 300_000,
  600_000,
] as const;

export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

export function xOf({ fromMs, toMs }: Axis, timeMs: number): number {
  const part = (Math.min(Math.max(timeMs, fromMs), toMs) - fromMs) / (toMs - fromMs);
  return round(LEFT + part * (WIDTH - LEFT - RIGHT));
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function text(x: number, y: number, words: string, more = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escape(words)}</text>`;
}

/** `hint` is shown where the pointer rests. */
export function box(
  area: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  className: string,
  hint?: string,
): string {
  const { x, y, width, height } = area;
  const at = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
  if (hint === undefined) return `<rect ${at} class="${className}"/>`;
  return `<rect ${at} class="${className}"><title>${escape(hint)}</title></rect>`;
}

/** A point of a thick line without length: thousands of them make one element. */
export function dots(points: readonly (readonly [number, number])[], className: string): string {
  if (points.length === 0) return "";
  const path = points.map(([x, y]) => `M${round(x)} ${round(y)}h0`).join("");
  return `<path class="dots ${className}" d="${path}"/>`;
}

export function line(points: readonly (readonly [number, number])[], className: string): string {
  if (points.length === 0) return "";
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
  return `<polyline class="line ${className}" points="${path}"/>`;
}

/** Along the left side of a chart: what its height means. */
export function heightName(words: string, height: number): string {
  const y = round(height / 2);
  return `<text class="name" transform="translate(14 ${y}) rotate(-90)" text-anchor="middle">${escape(words)}</text>`;
}

/** Times below a chart, and lines from them up through it. */
export function timeAxis(axis: Axis, height: number): string {
  const span = axis.toMs - axis.fromMs;
  const step = STEPS_MS.find((each) => span / each <= TICKS_WANTED) ?? span;
  const ticks: string[] = [];
  for (let at = Math.ceil(axis.fromMs / step) * step; at <= axis.toMs; at += step) {
    const x = xOf(axis, at);
    ticks.push(`<line class="grid" x1="${x}" y1="0" x2="${x}" y2="${height}"/>`);
    const words = step >= 1000 ? `${at / 1000} s` : `${round(at)} ms`;
    ticks.push(text(x, height + 14, words, 'text-anchor="middle"'));
  }
  const name = 'class="name" text-anchor="end"';
  ticks.push(text(WIDTH - RIGHT, height + 29, "time since the run began", name));
  return ticks.join("");
}

/** `height` is that of the drawing; above it there is room for half a line, below for the axis. */
export function picture(height: number, title: string, content: string): string {
  const size = `viewBox="0 ${-ABOVE} ${WIDTH} ${height + ABOVE + BELOW}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img"><title>${escape(title)}</title>${content}</svg>`;
}
