/**
 * Whether this node knows a leader of what etcd's clients see: asked when somebody wants to know,
 * and twice a second while somebody wants to go on hearing of it.
 */
import type { Timer, Timers } from "../env/timers.js";
import type { Backend } from "./backend.js";

const INTERVAL_MS = 500;
/** At least three seconds, in which several elections fit, and about as long as etcd waits. */
const LOOKS_WITHOUT_LEADER_MAX = 7;

/** Told after every look. */
type Follower = (hasLeader: boolean) => void;

export class LeaderMonitor {
  readonly #backend: Backend;
  readonly #timers: Timers;
  readonly #followers: Set<Follower> = new Set();
  #timer: Timer | undefined;
  /** A look that is under way serves all who ask. */
  #look: Promise<boolean> | undefined;

  constructor(backend: Backend, timers: Timers) {
    this.#backend = backend;
    this.#timers = timers;
  }

  /** False also where the node does not say. */
  hasLeader(): Promise<boolean> {
    this.#look ??= this.#backend
      .status()
      .then(
        ({ leaderNodeId }) => leaderNodeId !== 0,
        () => false,
      )
      .finally(() => (this.#look = undefined));
    return this.#look;
  }

  /** From now on until what it gives back is called. */
  follow(told: Follower): () => void {
    this.#followers.add(told);
    void this.hasLeader().then((hasLeader) => {
      if (this.#followers.has(told)) told(hasLeader);
    });
    this.#lookLater();
    return () => {
      this.#followers.delete(told);
      if (this.#followers.size > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    };
  }

  /** Calls `lost` when there was none for a while; until what it gives back is called. */
  followLoss(lost: () => void): () => void {
    let missed = 0;
    return this.follow((hasLeader) => {
      missed = hasLeader ? 0 : missed + 1;
      if (missed === LOOKS_WITHOUT_LEADER_MAX) lost();
    });
  }

  #lookLater(): void {
    this.#timer ??= this.#timers.after(INTERVAL_MS, () => {
      this.#timer = undefined;
      void this.hasLeader().then((hasLeader) => {
        for (const told of this.#followers) told(hasLeader);
        if (this.#followers.size > 0) this.#lookLater();
      });
    });
  }
}
