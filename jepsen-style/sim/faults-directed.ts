/**
 * Faults that aim: each brings about one of the situations in which systems like this one have been
 * wrong, which faults that strike anywhere at any time seldom do. They are drawn from the seed and
 * listed like all others, look at nothing but roles and indexes, and do nothing that a network, a
 * disk, a process or an operator could not do.
 */
import type { Prng } from "../../src/base/prng.js";
import { logUniform } from "./settings.js";
import type { DirectedClass } from "./settings.js";

/** Clients that are on one side of a cut. */
interface Sides {
  readonly inside: readonly string[];
  /** Clients that do not reach the one that is cut off. */
  readonly outside: readonly string[];
}

/** `draw`: which leader, of those that there are then. */
export type DirectedFault =
  | ({
      /**
       * All connections of a leader to other machines break, and none comes back for a while: the
       * others elect somebody at once, and it does not know.
       */
      readonly kind: "depose";
      readonly draw: number;
      /** The leader of the placement group, which hands out revisions. */
      readonly isSequencer: boolean;
      /** Where a minority may have two: the machine that stays with it; undefined for none. */
      readonly friendDraw: number | undefined;
      readonly forMs: number;
    } & Sides)
  | {
      /** A leader hands a shard over, and hears nothing of other machines once it has said so. */
      readonly kind: "handover";
      readonly draw: number;
      readonly shardDraw: number;
      readonly toDraw: number;
      readonly forMs: number;
    }
  | {
      /**
       * A leader is cut off; all others are killed, come back at once and campaign, in turns, for
       * as long as the leader may count on what they had promised.
       */
      readonly kind: "amnesia";
      readonly draw: number;
      readonly power: boolean;
      readonly downMs: number;
      readonly stepMs: number;
      readonly forMs: number;
    }
  | {
      /** What others say reaches a leader late; then they hear it no more, and campaign. */
      readonly kind: "slowEchoes";
      readonly draw: number;
      readonly delayMs: number;
      readonly cutAfterMs: number;
      readonly forMs: number;
    }
  | {
      /**
       * What the leader of the placement group says reaches one other machine late, one that leads
       * where there is any: a write has its revision there and does not know it yet, when a read
       * that has come by the newest revision arrives. The read must wait for the write.
       */
      readonly kind: "slowRevisions";
      readonly draw: number;
      readonly delayMs: number;
      readonly forMs: number;
    }
  | {
      /**
       * What the leader of the placement group and the others say to each other about that group
       * is lost; all else passes. The others elect somebody as soon as they may, and until nobody
       * has answered it for the longest election timeout the old one leads as well, for itself: it
       * has its clients, its connections and what it leads of users. Writes get the new one's
       * revisions, and whoever still asks the old one must not be told any, new or newest.
       */
      readonly kind: "twoSequencers";
      /** Its connections break and come back: the others elect at once, not when they may. */
      readonly breaks: boolean;
      /** When the others campaign, and again until one has won. */
      readonly fromMs: number;
      readonly stepMs: number;
      readonly forMs: number;
    }
  | {
      /** A replica flushes while it has not applied all that is committed; then power fails. */
      readonly kind: "flushAhead";
      readonly machine: string;
      readonly downMs: number;
    }
  | {
      /**
       * A machine at which clients watch leads no more, and is then cut off until the others have
       * dropped what it lacks from their logs.
       */
      readonly kind: "leaveBehind";
      readonly draw: number;
      readonly toDraw: number;
      readonly forMs: number;
    }
  | {
      /**
       * A leader dies when it has committed something that nobody else can know of; when somebody
       * is elected, no disk gets anything done for a while.
       */
      readonly kind: "slowStart";
      readonly machine: string;
      readonly stallMs: number;
      readonly downMs: number;
    }
  | {
      /** The next leader with a lease sleeps until the others have elected somebody. */
      readonly kind: "oversleep";
      /** From that election to its waking. */
      readonly wakeAfterMs: number;
      /** No longer than this, and not waited for any longer either. */
      readonly forMs: number;
    };

/** What they are drawn from. */
export interface DirectedDraw {
  readonly prng: Prng;
  readonly machine: string;
  /** The shortest election timeout. */
  readonly electionMs: number;
  readonly leaseMs: number;
  readonly sides: () => Sides;
}

export const DIRECTED_DRAWS: Readonly<
  Record<DirectedClass, (draw: DirectedDraw) => DirectedFault>
> = {
  depose: ({ prng, electionMs, sides }) => ({
    kind: "depose",
    draw: prng.fraction(),
    isSequencer: prng.chance(0.4),
    friendDraw: prng.chance(0.5) ? prng.fraction() : undefined,
    forMs: electionMs * (0.3 + 2 * prng.fraction()),
    ...sides(),
  }),
  handover: ({ prng, electionMs }) => ({
    kind: "handover",
    draw: prng.fraction(),
    shardDraw: prng.fraction(),
    toDraw: prng.fraction(),
    forMs: electionMs * (0.2 + prng.fraction()),
  }),
  amnesia: ({ prng, leaseMs }) => ({
    kind: "amnesia",
    draw: prng.fraction(),
    power: prng.chance(0.5),
    downMs: logUniform(prng, 1, 20),
    stepMs: leaseMs * (0.1 + 0.2 * prng.fraction()),
    forMs: 1.2 * leaseMs,
  }),
  slowEchoes: ({ prng, electionMs, leaseMs }) => {
    const delayMs = leaseMs * (0.4 + 0.6 * prng.fraction());
    const cutAfterMs = delayMs * (1 + prng.fraction());
    const forMs = cutAfterMs + Math.max(electionMs, leaseMs + delayMs);
    return { kind: "slowEchoes", draw: prng.fraction(), delayMs, cutAfterMs, forMs };
  },
  slowRevisions: ({ prng, electionMs }) => ({
    kind: "slowRevisions",
    draw: prng.fraction(),
    delayMs: electionMs * 0.3 * prng.fraction(),
    forMs: electionMs * (1 + 3 * prng.fraction()),
  }),
  twoSequencers: ({ prng, electionMs }) => ({
    kind: "twoSequencers",
    breaks: prng.chance(0.7),
    fromMs: electionMs * (1 + 0.1 * prng.fraction()),
    stepMs: electionMs * 0.2,
    forMs: electionMs * (1.5 + 1.5 * prng.fraction()),
  }),
  flushAhead: ({ prng, machine }) => ({
    kind: "flushAhead",
    machine,
    downMs: logUniform(prng, 5, 500),
  }),
  leaveBehind: ({ prng, electionMs }) => ({
    kind: "leaveBehind",
    draw: prng.fraction(),
    toDraw: prng.fraction(),
    forMs: 200 + electionMs * (1 + prng.fraction()),
  }),
  slowStart: ({ prng, machine, electionMs }) => ({
    kind: "slowStart",
    machine,
    stallMs: electionMs * 0.5 * prng.fraction(),
    downMs: 2 * electionMs * prng.fraction(),
  }),
  oversleep: ({ prng, electionMs }) => ({
    kind: "oversleep",
    wakeAfterMs: logUniform(prng, 0.1, electionMs),
    forMs: electionMs * (2 + 3 * prng.fraction()),
  }),
};
