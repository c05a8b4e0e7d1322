/**
 * The clients of a run: each one asks for one thing after the other, with pauses of random length
 * so that all together come to the wanted rate. Each starts from another node.
 */
import type { Prng } from "../../src/base/prng.js";
import { NotServed } from "../workloads/history-log.js";
import type { Store } from "../workloads/store.js";
import type { Witness } from "../workloads/witness.js";
import type { Actor, Course } from "../workloads/workload.js";

export interface ClosableStore extends Store {
  close(): Promise<void>;
}

/** A store by these endpoints, the first of them first. */
export type ConnectStore = (endpoints: readonly string[]) => Promise<ClosableStore>;

export interface ActorsOptions {
  readonly count: number;
  /** The history's number of the first. */
  readonly firstProcess: number;
  readonly ratePerSecond: number;
  readonly endpoints: readonly string[];
  readonly connect: ConnectStore;
  readonly prng: Prng;
  readonly nowMs: () => number;
  readonly witness: Witness;
}

const RETRY_MS = 200;

export class Actors {
  readonly #options: ActorsOptions;
  readonly #course: Course;
  readonly #stores: ClosableStore[] = [];
  readonly #actors: Actor[] = [];
  readonly #pauseMsMean: number;
  #working = true;
  /** Whoever is still at work may not go on. */
  #isGivenUp = false;
  #loops: readonly Promise<void>[] = [];

  constructor(options: ActorsOptions, course: Course) {
    this.#options = options;
    this.#course = course;
    this.#pauseMsMean = (options.count / options.ratePerSecond) * 1000;
  }

  async open(patienceMs: number): Promise<void> {
    const { count, firstProcess, endpoints, connect, prng, witness } = this.#options;
    for (let number = 0; number < count; number++) {
      const first = number % endpoints.length;
      const own = [...endpoints.slice(first), ...endpoints.slice(0, first)];
      const store = await connect(own);
      this.#stores.push(store);
      this.#actors.push({
        number,
        process: firstProcess + number,
        prng: prng.split(),
        store: witness.stand(store, firstProcess + number),
        pause: (ms) => this.#pause(ms),
        working: () => this.#working,
      });
    }
    const [first] = this.#actors;
    const prepare = this.#course.prepare?.bind(this.#course);
    if (first !== undefined && prepare !== undefined) {
      await this.#untilServed(() => prepare(first), patienceMs);
    }
  }

  start(): void {
    this.#loops = this.#actors.map((actor) => this.#work(actor));
  }

  /** Resolves when nothing is under way any more; where that takes longer, rejects: NotServed. */
  async stop(patienceMs: number): Promise<void> {
    this.#working = false;
    const timer = setTimeout(() => (this.#isGivenUp = true), patienceMs);
    try {
      await Promise.all(this.#loops);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets each finish; rejects with NotServed where that takes longer. */
  async finish(patienceMs: number): Promise<void> {
    const finish = this.#course.finish?.bind(this.#course);
    if (finish === undefined) return;
    await Promise.all(
      this.#actors.map((actor) => this.#untilServed(() => finish(actor), patienceMs)),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
  }

  async #work(actor: Actor): Promise<void> {
    while (this.#working) {
      await actor.pause(-Math.log(1 - actor.prng.fraction()) * this.#pauseMsMean);
      if (this.#working) await this.#course.step(actor);
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (this.#isGivenUp) throw new NotServed("something goes on that was to end");
  }

  async #untilServed(run: () => Promise<void>, patienceMs: number): Promise<void> {
    const end = this.#options.nowMs() + patienceMs;
    for (;;) {
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof NotServed) || this.#options.nowMs() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
