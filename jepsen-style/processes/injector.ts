/**
 * Lets the chosen nemeses strike, each in its own time and by its own stream of chance, and heals
 * what they did. It writes down when each fault began and ended.
 */
import { setMaxListeners } from "node:events";
import type { Prng } from "../../src/base/prng.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { startAgain } from "./nemesis.js";

export interface FaultSpan {
  readonly nemesis: string;
  readonly text: string;
  readonly fromMs: number;
  /** When it was healed; Infinity until then. */
  toMs: number;
}

/** Between two strikes of one nemesis. */
const GAP_MS = [1000, 6000] as const;
/** So many at once, however many nemeses there are: something is to be served in between. */
const FAULTS_MAX = 3;
const SLOT_MS = 200;

export class Injector {
  readonly spans: FaultSpan[] = [];
  readonly #scene: Omit<Scene, "prng">;
  readonly #nowMs: () => number;
  readonly #stopping = new AbortController();
  #loops: readonly Promise<void>[] = [];
  #striking = 0;

  constructor(scene: Omit<Scene, "prng">, nowMs: () => number) {
    // Every nemesis listens.
    setMaxListeners(0, this.#stopping.signal);
    this.#scene = scene;
    this.#nowMs = nowMs;
  }

  start(nemeses: readonly Nemesis[], prng: Prng): void {
    this.#loops = nemeses.map((nemesis) => this.#run(nemesis, prng.split()));
  }

  /** The faults that are on. */
  get present(): readonly string[] {
    return this.spans.filter(({ toMs }) => toMs === Infinity).map(({ text }) => text);
  }

  /** Resolves when all faults are over and all nodes run. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
    const { cluster } = this.#scene;
    cluster.links.heal();
    for (const node of cluster.nodes) {
      node.release();
      node.setClocks();
      node.setDiskFaults();
    }
    startAgain(cluster, cluster.names);
  }

  async #run(nemesis: Nemesis, prng: Prng): Promise<void> {
    await this.#wait(prng.between(...GAP_MS));
    while (!this.#stopping.signal.aborted) {
      if (this.#striking >= FAULTS_MAX) {
        await this.#wait(SLOT_MS);
        continue;
      }
      this.#striking++;
      const fault = await nemesis.strike({ ...this.#scene, prng });
      if (fault !== undefined) await this.#hold(nemesis, fault, prng);
      this.#striking--;
      await this.#wait(prng.between(...GAP_MS));
    }
  }

  async #hold(nemesis: Nemesis, fault: Fault, prng: Prng): Promise<void> {
    const { name, holdMs } = nemesis;
    const span = { nemesis: name, text: fault.text, fromMs: this.#nowMs(), toMs: Infinity };
    this.spans.push(span);
    await this.#wait(prng.between(...holdMs));
    await fault.heal();
    span.toMs = this.#nowMs();
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#stopping;
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
}
