/**
 * Messages made by hand, from the text that scripts show them by: "3>4 vote term=2 last=1@1". Only
 * the kinds that a script has a use for.
 */
import { must } from "../../src/base/assert.js";
import type { EntryRun } from "../../src/base/entry-run.js";
import type { Message } from "../../src/raft/message.js";
import type { ReplicaId } from "../../src/raft/types.js";

/** Entries of a replica's log, after one index and up to another. */
type Entries = (id: ReplicaId, after: number, upTo: number) => readonly EntryRun[];

/** What an append brings is what its sender has on its disk. */
export function messageOf(words: readonly string[], entries: Entries): Message {
  const [ends, kind, ...details] = words;
  const [from, to] = must(ends).split(">").map(Number);
  const text = (name: string): string =>
    must(details.find((word) => word.startsWith(`${name}=`))?.split("=")[1], `${kind} ${name}`);
  const point = (name: string): readonly [number, number] => {
    const [index, term] = text(name).split("@").map(Number);
    return [must(index), must(term)];
  };
  const header = { from: must(from), to: must(to), term: Number(text("term")) };
  switch (kind) {
    case "vote": {
      const [lastIndex, lastTerm] = point("last");
      return { kind, ...header, lastIndex, lastTerm, transfer: details.includes("transfer") };
    }
    case "voteResponse":
      return { kind, ...header, granted: details.includes("granted") };
    case "append": {
      const [prevIndex, prevTerm] = point("after");
      const runs = entries(header.from, prevIndex, point("to")[0]);
      return { kind, ...header, prevIndex, prevTerm, commitIndex: Number(text("commit")), runs };
    }
    case "appendResponse": {
      const [index, logTerm] = point("to");
      return { kind, ...header, index, logTerm, rejected: false, hintIndex: 0 };
    }
    case "timeoutNow":
      return { kind, ...header, lastIndex: Number(text("last")) };
    default:
      throw new Error(`no script makes a message of kind ${kind}`);
  }
}
