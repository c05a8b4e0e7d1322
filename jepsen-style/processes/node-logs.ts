/**
 * Reads the Raft logs of nodes that have ended, as a start would, and puts them together: what was
 * committed in each shard, entry by entry, and from that in each keyspace, revision by revision. It
 * changes nothing.
 *
 * Committed is what a hard state says, or what a majority of the voters has in the term of the
 * newest entry of all. Two nodes with other bytes at one committed index are a fault.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { readU32 } from "../../src/base/coding.js";
import { ENTRY_HEADER_SIZE_BYTES } from "../../src/base/entry-run.js";
import type { EntryRun } from "../../src/base/entry-run.js";
import { hash32 } from "../../src/base/hash.js";
import { nodeDisk } from "../../src/env/node/node-disk.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import type { RecoveredShard } from "../../src/log/log-types.js";
import { LogRecovery } from "../../src/log/recovery.js";
import {
  EFFECT_TYPES,
  EffectReader,
  ENTRY_KINDS,
  PayloadHeader,
  readPayloadHeader,
} from "../../src/mvcc/effects-format.js";
import { readStored } from "../../src/mvcc/stored-value.js";
import { KeyValueView } from "../../src/protocol/key-value-codec.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { userKeyView } from "../../src/route/stored-key.js";
import { lookAtManifest } from "../../src/store/manifest-look.js";
import type { Commit, CommittedOrder } from "../checkers/committed.js";
import type { Event } from "../checkers/writes.js";
import { valueText } from "../value-text.js";

export interface NodeLog {
  readonly node: string;
  readonly shards: ReadonlyMap<number, RecoveredShard>;
}

/** undefined: its files are damaged beyond what a start can read. */
export function readNodeLog(node: string, dataDirectory: string): NodeLog | undefined {
  const store = `${dataDirectory}/store`;
  try {
    const storeId = lookAtManifest(nodeDisk, store).content?.storeId;
    if (storeId === undefined) return undefined;
    const recovery = new LogRecovery(nodeDisk, `${store}/log`, storeId);
    recovery.scan();
    return { node, shards: recovery.recoverShards(0) };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return undefined;
  }
}

export interface LogEntry {
  readonly node: string;
  readonly kind: EntryRun["kind"];
  readonly term: number;
  readonly payload: Uint8Array;
  readonly hash: number;
}

/** What a shard has committed: contiguous up to `last`, from the first that some log still has. */
export interface ShardOrder {
  readonly first: number;
  readonly last: number;
  readonly entries: readonly LogEntry[];
  /** Two nodes disagree. */
  readonly fault: string | undefined;
}

export function shardOrder(
  shardId: number,
  logs: readonly NodeLog[],
  voters: readonly string[],
  archived: ReadonlyMap<number, LogEntry> = new Map(),
): ShardOrder {
  const own = logs.flatMap(({ node, shards }) => {
    const shard = shards.get(shardId);
    return shard === undefined ? [] : [{ node, shard, entries: entriesOf(node, shard) }];
  });
  const last = Math.max(committedTo(own, voters), ...[...archived.keys()].slice(-1));
  const merged = new Map(archived);
  for (const { entries } of own) {
    for (const [index, entry] of entries) {
      if (index > last) continue;
      const known = merged.get(index);
      if (known === undefined) merged.set(index, entry);
      else if (known.hash !== entry.hash || known.term !== entry.term) {
        const fault = `${known.node} and ${entry.node} have other entries ${index} of shard ${shardId}`;
        return { first: last + 1, last, entries: [], fault };
      }
    }
  }
  let first = last + 1;
  while (merged.has(first - 1)) first--;
  const entries = Array.from({ length: last + 1 - first }, (_, at) => merged.get(first + at)!);
  return { first, last, entries, fault: undefined };
}

interface OwnLog {
  readonly node: string;
  readonly shard: RecoveredShard;
  readonly entries: ReadonlyMap<number, LogEntry>;
}

function committedTo(own: readonly OwnLog[], voters: readonly string[]): number {
  const said = Math.max(0, ...own.map(({ shard }) => shard.hardState?.commitIndex ?? 0));
  const newest = Math.max(0, ...own.map(({ entries }) => [...entries.values()].at(-1)?.term ?? 0));
  const ends = own
    .filter(({ node }) => voters.includes(node))
    .map(({ entries }) => [...entries].findLast(([, { term }]) => term === newest)?.[0] ?? 0);
  const [held = 0] = ends.toSorted((a, b) => b - a).slice(voters.length >> 1);
  return Math.max(said, held);
}

export function entriesOf(
  node: string,
  { runs, runsAfterLoss }: RecoveredShard,
): Map<number, LogEntry> {
  const entries = new Map<number, LogEntry>();
  for (const { kind, term, firstIndex, count, bytes } of [...runs, ...runsAfterLoss]) {
    let at = 0;
    for (let i = 0; i < count; i++) {
      const start = at + ENTRY_HEADER_SIZE_BYTES;
      at = start + readU32(bytes, at);
      const payload = bytes.subarray(start, at);
      const hash = hash32(payload, 0, payload.length);
      entries.set(firstIndex + i, { node, kind, term, payload, hash });
    }
  }
  return entries;
}

/** All shards of a keyspace on its one line of revisions, as far back as every log goes. */
export function keyspaceOrder(
  keyspace: KeyspaceDescriptor,
  shards: readonly ShardOrder[],
): CommittedOrder {
  let from = 1;
  let to = 0;
  const commits: Commit[] = [];
  for (const { first, entries } of shards) {
    const read = entries.flatMap((entry) => {
      const commit = entry.kind === "command" ? commitOf(keyspace, entry.payload) : undefined;
      return commit === undefined ? [] : [commit];
    });
    if (first > 1) from = Math.max(from, (read[0]?.predecessor ?? Infinity) + 1);
    for (const commit of read) {
      to = Math.max(to, commit.revision);
      if (commit.events.length > 0) commits.push(commit);
    }
  }
  const ordered = commits.filter(({ revision }) => revision >= from);
  return { from, to, commits: ordered.toSorted((a, b) => a.revision - b.revision) };
}

interface ReadCommit extends Commit {
  readonly predecessor: number;
}

function commitOf(keyspace: KeyspaceDescriptor, payload: Uint8Array): ReadCommit | undefined {
  const header = new PayloadHeader();
  readPayloadHeader(payload, 0, payload.length, header);
  if (header.kind !== ENTRY_KINDS.effects) return undefined;
  const { revision, predecessor, endsLease } = header;
  const reader = new EffectReader();
  reader.open(payload, 0, payload.length);
  const events: Event[] = [];
  while (reader.next()) events.push(eventOf(keyspace, reader, revision));
  return { revision, predecessor, endsLease, events };
}

function eventOf(keyspace: KeyspaceDescriptor, reader: EffectReader, revision: number): Event {
  const { bytes, keyOffset, keyLength, storedOffset, storedLength } = reader;
  const key = utf8Text(userKeyView(keyspace, bytes.subarray(keyOffset, keyOffset + keyLength)));
  if (reader.type === EFFECT_TYPES.tombstone) {
    return { revision, key, value: undefined, createRevision: 0, version: 0 };
  }
  const row = new KeyValueView();
  readStored(bytes, storedOffset, storedLength, row);
  const value = row.valueBytes.subarray(row.valueOffset, row.valueOffset + row.valueLength);
  const { createRevision, version } = row;
  return { revision, key, value: valueText(value), createRevision, version };
}
