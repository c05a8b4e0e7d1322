/**
 * Lets the chosen nemeses strike by turns. A turn is of a few of them, each in its own time and by
 * its own stream of chance; then everything is healed, and the next turn waits until every workload
 * has been served again. So a slow machine makes fewer turns, not a run in which nothing is served.
 * It writes down when each fault began and ended.
 */
import type { Prng } from "../../src/base/prng.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled, startAgain } from "./nemesis.js";

export interface FaultSpan {
  readonly nemesis: string;
  /** What was done to whom, and once it is healed what became of it. */
  text: string;
  readonly fromMs: number;
  /** When it was healed; Infinity until then. */
  toMs: number;
}

export interface InjectorOptions {
  readonly nemeses: readonly Nemesis[];
  readonly prng: Prng;
  readonly nowMs: () => number;
  /** Called when all is healed; resolves when everybody has been served since, or too late. */
  readonly recovered: () => Promise<void>;
}

/** How many strike in a turn, however many there are: all of them have their turn. */
const NEMESES_A_TURN = 3;
const TURN_MS = [6000, 12_000] as const;
/** Between two strikes of one nemesis. */
const GAP_MS = [200, 3000] as const;

export class Injector {
  readonly spans: FaultSpan[] = [];
  readonly #scene: Omit<Scene, "prng">;
  readonly #options: InjectorOptions;
  readonly #stopping = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(scene: Omit<Scene, "prng">, options: InjectorOptions) {
    this.#scene = scene;
    this.#options = options;
  }

  start(): void {
    this.#work = this.#takeTurns();
  }

  /** The faults that are on. */
  get present(): readonly string[] {
    return this.spans.filter(({ toMs }) => toMs === Infinity).map(({ text }) => text);
  }

  /** Resolves when all faults are over and all nodes run. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    this.#heal();
  }

  async #takeTurns(): Promise<void> {
    const { nemeses, prng, recovered } = this.#options;
    let waiting: readonly Nemesis[] = [];
    while (nemeses.length > 0 && !this.#stopping.signal.aborted) {
      if (waiting.length === 0) waiting = shuffled(nemeses, prng);
      const turn = waiting.slice(0, NEMESES_A_TURN);
      waiting = waiting.slice(NEMESES_A_TURN);
      await this.#turn(turn);
      this.#heal();
      await recovered();
    }
  }

  async #turn(nemeses: readonly Nemesis[]): Promise<void> {
    const { prng } = this.#options;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), prng.between(...TURN_MS));
    const signal = AbortSignal.any([this.#stopping.signal, over.signal]);
    await Promise.all(nemeses.map((nemesis) => this.#run(nemesis, prng.split(), signal)));
    clearTimeout(timer);
  }

  #heal(): void {
    const { cluster } = this.#scene;
    cluster.links.heal();
    for (const node of cluster.nodes) {
      node.release();
      node.setClocks();
      node.setDiskFaults();
    }
    startAgain(cluster, cluster.names);
  }

  async #run(nemesis: Nemesis, prng: Prng, signal: AbortSignal): Promise<void> {
    await wait(prng.between(...GAP_MS), signal);
    while (!signal.aborted) {
      const fault = await nemesis.strike({ ...this.#scene, prng });
      if (fault !== undefined) await this.#hold(nemesis, fault, prng, signal);
      await wait(prng.between(...GAP_MS), signal);
    }
  }

  async #hold(nemesis: Nemesis, fault: Fault, prng: Prng, signal: AbortSignal): Promise<void> {
    const { name, holdMs } = nemesis;
    const { nowMs } = this.#options;
    const span: FaultSpan = { nemesis: name, text: fault.text, fromMs: nowMs(), toMs: Infinity };
    this.spans.push(span);
    await wait(prng.between(...holdMs), signal);
    const told = await fault.heal();
    if (typeof told === "string") span.text += `: ${told}`;
    span.toMs = nowMs();
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
