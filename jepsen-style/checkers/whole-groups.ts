/**
 * Transactions near the limits, each of which writes one number to all keys of its group:
 *
 *   every read shows a group whole: one number, all keys, all bytes, one revision
 *   it shows the newest transaction up to the revision it names, and a linearizable read names no
 *   older one than that of a write which had been answered before
 *   a transaction on a condition is done only while the group is as it was said to be
 *   what is within the limits is not refused for them; what is beyond one is refused, by the name
 *   of the limit and with the word that nothing was done, and nobody ever sees it
 */
import type { ErrorCode } from "../../src/protocol/errors.js";
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

/** The limit that a transaction exceeds, or none. */
export type Beyond = "none" | "tooManyOperations" | "requestTooLarge";

export interface GroupWrite {
  readonly type: "write";
  readonly group: number;
  /** No two writes have the same. */
  readonly number: number;
  readonly beyond: Beyond;
  /** Keys, and what their values take together. */
  readonly operations: number;
  readonly bytes: number;
  /** Only while the group is that of this revision; 0: while there is none. */
  readonly onRevision: number | undefined;
}

export interface GroupRead {
  readonly type: "read";
  readonly group: number;
  /** 0: the newest. */
  readonly revision: number;
  readonly how: "range" | "transaction";
}

/** What of a group carries one number and one revision. */
export interface GroupPart {
  readonly number: number;
  readonly modRevision: number;
  readonly keys: number;
  readonly bytes: number;
}

export type GroupRequest = GroupWrite | GroupRead;
export type GroupAnswer =
  | { readonly type: "write"; readonly done: boolean; readonly revision: number }
  | { readonly type: "read"; readonly revision: number; readonly parts: readonly GroupPart[] };
export type GroupOperation = Operation<GroupRequest, GroupAnswer> & {
  readonly error?: string | undefined;
};

const WHOLE = "transactions near the limits are seen whole";
const KEPT = "limits are kept, and named";
const LIMITS: readonly (string | undefined)[] = [
  "tooManyOperations",
  "requestTooLarge",
] satisfies ErrorCode[];

type Write = GroupOperation & { readonly request: GroupWrite };
type Read = GroupOperation & { readonly request: GroupRead };
interface Done {
  readonly write: Write;
  readonly revision: number;
  readonly completedAt: number;
}

export function checkGroups(operations: readonly GroupOperation[]): readonly Finding[] {
  const writes = operations.filter((each): each is Write => each.request.type === "write");
  const reads = operations.filter((each): each is Read => each.request.type === "read");
  return [limitsFault(writes) ?? valid(KEPT), new Groups(writes).fault(reads) ?? valid(WHOLE)];
}

function limitsFault(writes: readonly Write[]): Finding | undefined {
  for (const write of writes) {
    const { beyond } = write.request;
    const isRefusal = LIMITS.includes(write.error);
    if (beyond === "none" && isRefusal) {
      return invalid(KEPT, "a transaction within the limits was refused", [write]);
    }
    if (beyond === "none") continue;
    if (write.kind === "ok")
      return invalid(KEPT, "a transaction beyond a limit was taken", [write]);
    if (!isRefusal) continue;
    if (write.error !== beyond) return invalid(KEPT, "another limit was named", [write]);
    if (write.kind === "info") {
      return invalid(KEPT, "a refusal does not say that nothing was done", [write]);
    }
  }
  return undefined;
}

class Groups {
  readonly #writes: ReadonlyMap<number, Write>;
  /** Those that were answered, by revision. */
  readonly #done: readonly Done[];
  /** By number: where it was seen first. */
  readonly #seen = new Map<number, { readonly modRevision: number; readonly read: Read }>();

  constructor(writes: readonly Write[]) {
    this.#writes = new Map(writes.map((write) => [write.request.number, write]));
    this.#done = writes
      .flatMap((write) => {
        if (write.kind !== "ok" || write.answer.type !== "write" || !write.answer.done) return [];
        const { revision } = write.answer;
        return [{ write, revision, completedAt: write.completedAt }];
      })
      .toSorted((a, b) => a.revision - b.revision);
  }

  fault(reads: readonly Read[]): Finding | undefined {
    return this.#conditionsFault() ?? this.#agesFault(reads) ?? this.#firstFault(reads);
  }

  #conditionsFault(): Finding | undefined {
    for (const { write, revision } of this.#done) {
      const { group, onRevision } = write.request;
      if (onRevision === undefined) continue;
      const between = this.#newest(group, revision - 1);
      if (between === undefined || between.revision <= onRevision) continue;
      const text = `the group had changed at ${between.revision}, after ${onRevision}`;
      return invalid(WHOLE, text, [between.write, write]);
    }
    return undefined;
  }

  /** Of the newest state, at a revision that is new enough. */
  #agesFault(reads: readonly Read[]): Finding | undefined {
    const byReturn = this.#done.toSorted((a, b) => a.completedAt - b.completedAt);
    let at = 0;
    let newest: Done | undefined;
    for (const read of reads.toSorted((a, b) => a.calledAt - b.calledAt)) {
      for (; at < byReturn.length && byReturn[at]!.completedAt < read.calledAt; at++) {
        if (byReturn[at]!.revision > (newest?.revision ?? 0)) newest = byReturn[at];
      }
      if (read.kind !== "ok" || read.request.revision > 0 || newest === undefined) continue;
      if (read.answer.revision >= newest.revision) continue;
      const text = `revision ${read.answer.revision} was shown after ${newest.revision}`;
      return invalid(WHOLE, text, [newest.write, read]);
    }
    return undefined;
  }

  #firstFault(reads: readonly Read[]): Finding | undefined {
    for (const read of reads) {
      if (read.kind !== "ok" || read.answer.type !== "read") continue;
      const { parts, revision } = read.answer;
      const [part] = parts;
      if (parts.length > 1) {
        return invalid(WHOLE, `parts of ${parts.length} transactions were seen at once`, [read]);
      }
      const lost = this.#newest(read.request.group, revision);
      if (lost !== undefined && lost.revision > (part?.modRevision ?? 0)) {
        const text = `revision ${revision} lacks what was written at ${lost.revision}`;
        return invalid(WHOLE, text, [lost.write, read]);
      }
      const fault = part === undefined ? undefined : this.#partFault(part, read, revision);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #partFault(part: GroupPart, read: Read, shown: number): Finding | undefined {
    const { number, modRevision, keys, bytes } = part;
    const write = this.#writes.get(number);
    if (write === undefined) return invalid(WHOLE, `nobody wrote ${number}`, [read]);
    const { group, operations, bytes: written } = write.request;
    const wrong = (text: string): Finding => invalid(WHOLE, text, [write, read]);
    const isNothing = write.kind === "ok" && write.answer.type === "write" && !write.answer.done;
    if (write.kind === "fail" || isNothing) return wrong(`${number} was said not to be written`);
    if (group !== read.request.group) return wrong(`${number} was written to another group`);
    if (keys !== operations || bytes !== written) return wrong(`a part of ${number} was seen`);
    const told = write.kind === "ok" ? write.answer.revision : this.#seen.get(number)?.modRevision;
    if (told !== undefined && told !== modRevision) {
      return wrong(`${number} is of revision ${modRevision} and of ${told}`);
    }
    if (modRevision > shown) return wrong(`revision ${shown} shows what came at ${modRevision}`);
    this.#seen.set(number, { modRevision, read });
    return undefined;
  }

  /** Of the group, up to the revision. */
  #newest(group: number, revision: number): Done | undefined {
    return this.#done.findLast(
      (each) => each.write.request.group === group && each.revision <= revision,
    );
  }
}
