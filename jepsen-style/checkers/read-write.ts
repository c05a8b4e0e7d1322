/**
 * Transactions that read and write registers, every value written once. The store says of each
 * version at which revision it was made, so the order of the versions of a key is known where
 * somebody heard of it, and nothing about it has to be guessed. From that follow dependencies; the
 * history is strictly serializable only if they, with real time, form no circle (dependencies.ts).
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import { judgeCycles } from "./dependencies.js";
import type { Edge } from "./dependencies.js";
import type { Finding } from "./finding.js";
import { invalid } from "./finding.js";

/** First all reads, then all writes, of different keys each. */
export interface ReadWriteRequest {
  readonly type: "txn";
  readonly reads: readonly string[];
  /** Where it only reads; by default linearizable. */
  readonly level?: ReadLevel;
  readonly writes: readonly { readonly key: string; readonly value: string }[];
}

export interface ReadWriteAnswer {
  /** Of its writes. */
  readonly revision: number;
  /** In the order of the request; undefined: there is nothing. */
  readonly seen: readonly ({ readonly value: string; readonly modRevision: number } | undefined)[];
}

export type ReadWriteOperation = Operation<ReadWriteRequest, ReadWriteAnswer>;

const NAME = "strictly serializable";

/** A version of a key, and the transaction that made it. */
interface Version {
  readonly modRevision: number;
  readonly by: number;
}

export function checkReadWrite(operations: readonly ReadWriteOperation[]): Finding {
  const writers = new Map<string, number>();
  for (const [by, { request }] of operations.entries()) {
    for (const { value } of request.writes) writers.set(value, by);
  }
  const versions = new Map<string, Map<number, Version>>();
  const note = (key: string, version: Version): void => {
    const own = versions.get(key) ?? new Map<number, Version>();
    versions.set(key, own);
    own.set(version.modRevision, version);
  };
  for (const [by, operation] of operations.entries()) {
    if (operation.kind !== "ok") continue;
    const { request, answer } = operation;
    for (const { key } of request.writes) note(key, { modRevision: answer.revision, by });
    for (const [at, key] of request.reads.entries()) {
      const row = answer.seen[at];
      if (row === undefined) continue;
      const writer = writers.get(row.value);
      const made = writer === undefined ? undefined : operations[writer];
      const fault = readFault(made, operation, { key, ...row });
      if (fault !== undefined) return fault;
      note(key, { modRevision: row.modRevision, by: writer! });
    }
  }
  return judgeCycles(NAME, operations, edgesOf(operations, versions));
}

function readFault(
  writer: ReadWriteOperation | undefined,
  reader: ReadWriteOperation,
  { key, value, modRevision }: { key: string; value: string; modRevision: number },
): Finding | undefined {
  if (writer === undefined) return invalid(NAME, `nobody wrote ${value} of ${key}`, [reader]);
  if (!writer.request.writes.some((write) => write.key === key && write.value === value)) {
    return invalid(NAME, `${value} was written to another key than ${key}`, [writer, reader]);
  }
  if (writer.kind === "fail") {
    const text = `aborted read (G1a): ${value} of ${key} was written by one that failed`;
    return invalid(NAME, text, [writer, reader]);
  }
  if (writer.kind !== "ok" || writer.answer.revision === modRevision) return undefined;
  const text = `${value} of ${key} is of revision ${modRevision}, not ${writer.answer.revision}`;
  return invalid(NAME, text, [writer, reader]);
}

function edgesOf(
  operations: readonly ReadWriteOperation[],
  versions: ReadonlyMap<string, ReadonlyMap<number, Version>>,
): readonly Edge[] {
  const edges: Edge[] = [];
  const add = (kind: Edge["kind"], from: number, to: number, why: string): void => {
    if (from !== to) edges.push({ kind, from, to, why });
  };
  const inOrder = new Map<string, readonly Version[]>();
  for (const [key, own] of versions) {
    const sorted = [...own.values()].toSorted((a, b) => a.modRevision - b.modRevision);
    inOrder.set(key, sorted);
    for (let at = 1; at < sorted.length; at++) {
      const [before, after] = [sorted[at - 1]!, sorted[at]!];
      const why = `wrote ${key} at ${before.modRevision}, before the next did at ${after.modRevision}`;
      add("ww", before.by, after.by, why);
    }
  }
  for (const [reader, operation] of operations.entries()) {
    if (operation.kind !== "ok") continue;
    for (const [at, key] of operation.request.reads.entries()) {
      const mod = operation.answer.seen[at]?.modRevision ?? 0;
      const own = inOrder.get(key) ?? [];
      const seen = own.find(({ modRevision }) => modRevision === mod);
      if (seen !== undefined) {
        add("wr", seen.by, reader, `wrote ${key} at ${mod}, which the next read`);
      }
      const next = own.find(({ modRevision }) => modRevision > mod);
      if (next === undefined) continue;
      add("rw", reader, next.by, `read ${key} without what the next wrote at ${next.modRevision}`);
    }
  }
  return edges;
}
