/**
 * What revisions tell of the operations on one key before any search: which write has which
 * revision (from its own answer, or from a get that shows its value), hence the order of these
 * writes; until when each was done; which versions were seen. Most broken histories contradict
 * themselves here already, and then two or three operations say why.
 */
import { hasEffect } from "../history.js";
import type { KeyValueOperation } from "../history.js";
import type { Contradiction } from "./model.js";
import { addTo } from "../lists.js";

/** When something was certain at the latest, and which operation shows it. */
export interface Proof {
  readonly at: number;
  readonly operation: number;
}

export interface Placing {
  /** By place, from 1 on; 0 is the empty store before. */
  readonly revisions: readonly number[];
  /** By operation: the place of a write whose revision is known. */
  readonly placeOf: ReadonlyMap<number, number>;
  readonly deadlineOf: ReadonlyMap<number, Proof>;
  /** By place: the version that a get saw. */
  readonly versionAt: ReadonlyMap<number, number>;
  /** By place: whether somebody may still see which version was reached. */
  readonly versionMatters: readonly boolean[];
}

export type Placed =
  | { readonly kind: "placing"; readonly placing: Placing }
  | { readonly kind: "contradiction"; readonly contradiction: Contradiction };

/** A get that found something, with its revision. */
interface Seen {
  readonly operation: number;
  readonly value: string;
  readonly revision: number;
  readonly version: number | undefined;
  readonly completedAt: number;
}

export function placeByRevision(operations: readonly KeyValueOperation[]): Placed {
  const placer = new Placer(operations);
  const contradiction =
    placer.ownRevisions() ?? placer.shownRevisions() ?? placer.order() ?? placer.reads();
  if (contradiction !== undefined) return { kind: "contradiction", contradiction };
  return { kind: "placing", placing: placer.placing() };
}

class Placer {
  private readonly operations: readonly KeyValueOperation[];
  private readonly writerOf = new Map<number, number>();
  private readonly revisionOf = new Map<number, number>();
  private readonly seen: readonly Seen[];
  private readonly proofs = new Map<number, Proof>();
  private readonly placeOf = new Map<number, number>();
  private readonly versionAt = new Map<number, number>();
  private revisions: number[] = [0];
  /** By place: the earliest proof that it or one after it was done. */
  private doneBy: Proof[] = [];

  constructor(operations: readonly KeyValueOperation[]) {
    this.operations = operations;
    this.seen = operations.flatMap((operation, index): readonly Seen[] => {
      if (operation.kind !== "ok" || operation.answer.type !== "get") return [];
      const { answer, completedAt } = operation;
      if (!answer.found || answer.modRevision === undefined) return [];
      const { value, version, modRevision: revision } = answer;
      return [{ operation: index, value, revision, version, completedAt }];
    });
  }

  /** The revisions that writes were answered. */
  ownRevisions(): Contradiction | undefined {
    for (const [index, operation] of this.operations.entries()) {
      if (operation.kind !== "ok" || operation.answer.type === "get") continue;
      const { answer } = operation;
      if (answer.revision === undefined || !hasEffect(answer)) continue;
      const other = this.writerOf.get(answer.revision);
      if (other !== undefined) {
        const text = `two writes were answered the same revision ${answer.revision}`;
        return { operations: [other, index], text };
      }
      this.assign(index, answer.revision);
    }
    return undefined;
  }

  private assign(writer: number, revision: number): void {
    this.writerOf.set(revision, writer);
    this.revisionOf.set(writer, revision);
    const operation = this.operations[writer]!;
    if (operation.kind !== "ok") return;
    this.proveDone(writer, { at: operation.completedAt, operation: writer });
  }

  private proveDone(writer: number, proof: Proof): void {
    const known = this.proofs.get(writer);
    if (known === undefined || proof.at < known.at) this.proofs.set(writer, proof);
  }

  /** The revisions that gets show of writes that were not answered one. */
  shownRevisions(): Contradiction | undefined {
    const writers = this.writersByValue();
    for (const seen of this.seen) {
      const { operation, value, revision, completedAt } = seen;
      const all = writers.get(value) ?? [];
      let writer = this.writerOf.get(revision);
      if (writer === undefined) {
        const able = all.filter((one) => !this.revisionOf.has(one));
        if (able.length > 1) continue;
        writer = able[0];
        if (writer === undefined) return nobodyWrote(seen, all);
        this.assign(writer, revision);
      } else if (!all.includes(writer)) {
        const text = `a get shows another value at revision ${revision} than was written there`;
        return { operations: [writer, operation], text };
      }
      this.proveDone(writer, { at: completedAt, operation });
    }
    return undefined;
  }

  private writersByValue(): ReadonlyMap<string, readonly number[]> {
    const writers = new Map<string, number[]>();
    for (const [index, operation] of this.operations.entries()) {
      const { request } = operation;
      if (request.type !== "put" && request.type !== "compareAndSet") continue;
      const answer = operation.kind === "ok" ? operation.answer : undefined;
      if (answer?.type === "compareAndSet" && !answer.succeeded) continue;
      addTo(writers, request.value, index);
    }
    return writers;
  }

  /** Gives the writes their places; a write must not begin when a later one is done. */
  order(): Contradiction | undefined {
    const inOrder = [...this.writerOf].toSorted(([a], [b]) => a - b);
    this.revisions = [0, ...inOrder.map(([revision]) => revision)];
    inOrder.forEach(([, writer], index) => this.placeOf.set(writer, index + 1));
    for (let place = inOrder.length; place >= 1; place--) {
      const [revision, writer] = inOrder[place - 1]!;
      const later = this.doneBy[place + 1];
      if (later !== undefined && this.operations[writer]!.calledAt > later.at) {
        const text = `revision ${revision} went to a write that was called after a higher one was out`;
        return { operations: [writer, later.operation], text };
      }
      const own = this.proofs.get(writer)!;
      const earliest = later !== undefined && later.at < own.at ? later : own;
      this.doneBy[place] = earliest;
      this.proofs.set(writer, earliest);
    }
    return undefined;
  }

  /** A get shows neither what is not written yet nor what was replaced before it was called. */
  reads(): Contradiction | undefined {
    for (const { operation, revision, version, completedAt } of this.seen) {
      const writer = this.writerOf.get(revision);
      if (writer === undefined) continue;
      if (completedAt < this.operations[writer]!.calledAt) {
        const text = `revision ${revision} was read before it was written`;
        return { operations: [writer, operation], text };
      }
      const place = this.placeOf.get(writer)!;
      const later = this.doneBy[place + 1];
      if (later !== undefined && this.operations[operation]!.calledAt > later.at) {
        const text = `stale read: revision ${revision} was read after a higher one was out`;
        return { operations: [later.operation, operation], text };
      }
      if (version === undefined) continue;
      const known = this.versionAt.get(place);
      if (known !== undefined && known !== version) return this.twoVersions(revision, operation);
      this.versionAt.set(place, version);
    }
    return undefined;
  }

  private twoVersions(revision: number, operation: number): Contradiction {
    const other = this.seen.find((one) => one.revision === revision && one.version !== undefined)!;
    const text = `two gets show revision ${revision} with different versions`;
    return { operations: [other.operation, operation], text };
  }

  placing(): Placing {
    const { revisions, placeOf, versionAt, proofs: deadlineOf } = this;
    const versionMatters = this.findWhereVersionsMatter();
    return { revisions, placeOf, deadlineOf, versionAt, versionMatters };
  }

  /** Up to the last place before a delete at which a version was seen. */
  private findWhereVersionsMatter(): readonly boolean[] {
    const always = this.operations.some((operation) => this.mayMeetAnyVersion(operation));
    const matters: boolean[] = [];
    let later = always;
    for (let place = this.revisions.length - 1; place >= 0; place--) {
      later ||= this.versionAt.has(place);
      matters[place] = later;
      const writer = this.writerOf.get(this.revisions[place]!);
      const deletes = writer !== undefined && this.operations[writer]!.request.type === "delete";
      if (deletes) later = always;
    }
    return matters;
  }

  /** Whether it tells versions apart at a revision that is not known. */
  private mayMeetAnyVersion(operation: KeyValueOperation): boolean {
    const { request } = operation;
    if (request.type === "compareAndSet") return request.expected.target === "version";
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (answer?.type !== "get" || !answer.found || answer.version === undefined) return false;
    return answer.modRevision === undefined || !this.writerOf.has(answer.modRevision);
  }
}

function nobodyWrote({ operation, revision }: Seen, all: readonly number[]): Contradiction {
  const what = all.length === 0 ? "a value that nobody wrote" : "a value of other revisions";
  return { operations: [...all, operation], text: `a get shows ${what} at revision ${revision}` };
}
