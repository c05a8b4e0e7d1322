/**
 * The live part of a demo: the nodes' lines. On a terminal they are redrawn in place, elsewhere
 * they are written again every few seconds, and at once when a node comes or goes.
 */
import { downText, nodeLine, type NodeView } from "./demo-view.js";
import { styled, type Terminal } from "./terminal.js";

const REDRAW_MS = 250;
const REPEAT_MS = 5000;

export class DemoScreen {
  readonly #terminal: Terminal;
  readonly #views: () => readonly NodeView[];
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #drawnState = "";
  readonly #saidDown = new Set<string>();

  constructor(terminal: Terminal, views: () => readonly NodeView[]) {
    this.#terminal = terminal;
    this.#views = views;
  }

  start(): void {
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  /** A line that stays, above the nodes' lines. */
  say(text: string): void {
    this.#erase();
    this.#terminal.out.write(`${text}\n`);
    this.#drawnAtMs = Number.NEGATIVE_INFINITY;
  }

  #sayDown(view: NodeView): void {
    if (view.runs) this.#saidDown.delete(view.name);
    if (view.runs || this.#saidDown.has(view.name)) return;
    this.#saidDown.add(view.name);
    this.say(downText(view));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#terminal.out.write(`\u001b[${this.#drawnLines}A\u001b[J`);
    this.#drawnLines = 0;
  }

  #draw(): void {
    const { out } = this.#terminal;
    const views = this.#views();
    for (const view of views) this.#sayDown(view);
    const state = views.map(({ runs, status }) => `${runs}${status !== undefined}`).join();
    const due = performance.now() - this.#drawnAtMs >= REPEAT_MS || state !== this.#drawnState;
    if (!out.isTTY && !due) return;
    this.#erase();
    for (const view of views) {
      const { text, style } = nodeLine(view, out.isTTY);
      const line = out.isTTY ? text.slice(0, out.columns - 1) : text;
      const shown = style === undefined ? line : styled(this.#terminal, out, style, line);
      out.write(`${shown}\n`);
    }
    if (out.isTTY) this.#drawnLines = views.length;
    this.#drawnAtMs = performance.now();
    this.#drawnState = state;
  }
}
