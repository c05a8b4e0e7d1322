/**
 * Progress of long work on stderr: files, bytes, rate, remaining time. On a terminal one line is
 * redrawn in place, elsewhere a line appears every few seconds. Rendering is a pure function.
 */
import { formatBytes, formatDuration } from "./quantities.js";
import { styled, type Terminal } from "./terminal.js";

const REDRAW_MS = 100;
const LINE_MS = 5000;
const BAR_CHARACTERS = 24;

export interface Progressed {
  readonly files: number;
  readonly bytes: number;
  /** undefined: not known beforehand. */
  readonly filesTotal: number | undefined;
  readonly bytesTotal: number | undefined;
  readonly elapsedMs: number;
  /** What there are so many of; files, unless it is said. */
  readonly unit?: string | undefined;
}

export function renderProgress(verb: string, now: Progressed): string {
  const seconds = Math.max(now.elapsedMs, 1) / 1000;
  const { unit = "files" } = now;
  const rate = `${Math.round(now.files / seconds)} ${unit}/s, ${formatBytes(now.bytes / seconds)}/s`;
  const filesOf = now.filesTotal === undefined ? "" : `/${now.filesTotal}`;
  const bytesOf = now.bytesTotal === undefined ? "" : ` of ${formatBytes(now.bytesTotal)}`;
  const amount = `${now.files}${filesOf} ${unit}, ${formatBytes(Math.round(now.bytes))}${bytesOf}`;
  const done = share(now);
  if (done === undefined) return `${verb} ${amount}, ${rate}`;
  const remaining = done === 0 ? "" : `, ${formatDuration(remainingMs(now.elapsedMs, done))} left`;
  return `${verb} ${bar(done)} ${amount}, ${rate}${remaining}`;
}

/** Files weigh as much as bytes: many empty files are work too. */
function share({ files, bytes, filesTotal, bytesTotal }: Progressed): number | undefined {
  if (filesTotal === undefined || bytesTotal === undefined) return undefined;
  const ofFiles = filesTotal === 0 ? 1 : files / filesTotal;
  const ofBytes = bytesTotal === 0 ? 1 : bytes / bytesTotal;
  return Math.min((ofFiles + ofBytes) / 2, 1);
}

function remainingMs(elapsedMs: number, done: number): number {
  return Math.round((elapsedMs * (1 - done)) / done / 1000) * 1000;
}

function bar(done: number): string {
  const full = Math.floor(done * BAR_CHARACTERS);
  return `[${"█".repeat(full)}${"░".repeat(BAR_CHARACTERS - full)}] ${Math.floor(done * 100)}%`;
}

export interface Totals {
  readonly files: number;
  readonly bytes: number;
}

export class Progress {
  readonly #terminal: Terminal;
  readonly #verb: string;
  readonly #totals: Totals | undefined;
  readonly #unit: string | undefined;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #files = 0;
  #bytes = 0;

  constructor(terminal: Terminal, verb: string, totals: Totals | undefined, unit?: string) {
    this.#unit = unit;
    this.#terminal = terminal;
    this.#verb = verb;
    this.#totals = totals;
    this.#timer = setInterval(() => this.#draw(), terminal.err.isTTY ? REDRAW_MS : LINE_MS);
  }

  add(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
  }

  elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  /** A remark that does not tear the line being redrawn. */
  remark(text: string): void {
    this.#erase();
    this.#terminal.err.write(`${text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #erase(): void {
    if (this.#terminal.err.isTTY) this.#terminal.err.write("\r\u001b[K");
  }

  #draw(): void {
    const { err } = this.#terminal;
    const line = renderProgress(this.#verb, {
      files: this.#files,
      bytes: this.#bytes,
      filesTotal: this.#totals?.files,
      bytesTotal: this.#totals?.bytes,
      elapsedMs: this.elapsedMs(),
      unit: this.#unit,
    });
    if (!err.isTTY) return err.write(`${line}\n`);
    this.#erase();
    err.write(styled(this.#terminal, err, "dim", line.slice(0, err.columns - 1)));
  }
}
