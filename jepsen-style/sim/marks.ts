/**
 * What happened inside a run, counted: each message that nodes trace is a mark, each event of the
 * Raft core with its particulars, and each answer that clients got. A mark that no seed of a
 * campaign reaches is a path that the simulator does not test.
 */
import type { Tracer } from "../../src/env/tracer.js";
import type { History, Operation } from "./load.js";

/** Without these a campaign has not tested what it is for. */
export const WANTED_MARKS: readonly string[] = [
  "raft role leader",
  "raft vote pre granted",
  "raft vote pre refused",
  "raft vote real granted",
  "raft vote real refused",
  "raft quorumLost",
  "raft leaseAcquired",
  "raft leaseLost",
  "raft transfer timeoutNow",
  "raft transfer aborted",
  "raft snapshotInstalled",
  "a connection is silent and broken off",
  "log write failed",
  "the disk stalls: others have to lead",
  "no space for the next log segment",
  "snapshot not sent",
  "a replica is damaged and waits to be refilled",
  "this node is refused",
  "a replica has left this node",
  "raft configuration",
  "the store failed",
  "answer put ok",
  "answer put info",
  "answer put fail",
  "answer cas refused",
  "answer delete ok",
  "answer get lease ok",
  "answer get follower ok",
  "answer get stale ok",
];

export class Marks {
  readonly #counts: Map<string, number> = new Map();

  /** Counts what is traced, and passes it on. */
  tracer(next: Tracer | undefined): Tracer {
    return {
      trace: (level, message, fields) => {
        this.#add(markOf(message, fields));
        next?.trace(level, message, fields);
      },
    };
  }

  /** A run whose majority was lost with a disk: that it converges is not asked for. */
  excused(): void {
    this.#add("excused");
  }

  counts({ operations, leases }: History): Record<string, number> {
    for (const operation of operations) this.#add(answerMark(operation));
    for (const { completed } of leases) {
      for (let i = 0; i < completed; i++) this.#add("a lease seen from beginning to end");
    }
    return Object.fromEntries(this.#counts);
  }

  #add(mark: string): void {
    this.#counts.set(mark, (this.#counts.get(mark) ?? 0) + 1);
  }
}

function markOf(message: string, fields: Readonly<Record<string, unknown>> | undefined): string {
  if (message === "raft role") return `raft role ${String(fields?.["role"])}`;
  if (message !== "raft event" || fields === undefined) return message;
  const kind = String(fields["kind"]);
  if (kind === "vote") {
    const what = fields["preVote"] === true ? "pre" : "real";
    return `raft vote ${what} ${fields["granted"] === true ? "granted" : "refused"}`;
  }
  const phase = fields["phase"];
  return typeof phase === "string" ? `raft ${kind} ${phase}` : `raft ${kind}`;
}

function answerMark(operation: Operation): string {
  const { kind, outcome } = operation;
  if (kind === "get") return `answer get ${operation.level} ${outcome}`;
  if (kind === "cas" && outcome === "ok" && !operation.succeeded) return "answer cas refused";
  return `answer ${kind} ${outcome}`;
}
