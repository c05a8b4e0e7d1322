/**
 * What a snapshot means, also one of a real etcd: the newest of each key that is not deleted, the
 * leases, the revision. It is read twice, for a key may come again with a later revision; what is
 * remembered of each key in between is its newest revision.
 */
import { DecodeError } from "../../base/coding.js";
import { utf8, utf8Text } from "../../base/bytes.js";
import type { KeyValue } from "../../protocol/key-value.js";
import { BoltReader } from "./bolt-reader.js";
import type { ReadAt } from "./bolt-reader.js";
import {
  KEY_BUCKET,
  LEASE_BUCKET,
  META_BUCKET,
  META_KEYS,
  readKeyValue,
  readLeaseTtl,
  readRevisionKey,
} from "./etcd-layout.js";

export class SnapshotReader {
  readonly #bolt: BoltReader;
  /** Of each key, as text of its bytes, the newest revision. */
  readonly #newest: ReadonlyMap<string, number>;
  /** That the keyspace had. */
  readonly revision: number;
  /** TTLs as granted, in seconds, by id; 0 for one that ended while the snapshot was made. */
  readonly leases: ReadonlyMap<bigint, number>;

  static async open(readAt: ReadAt): Promise<SnapshotReader> {
    const bolt = await BoltReader.open(readAt);
    const newest = new Map<string, number>();
    let revision = await compactedIn(bolt);
    for await (const leaf of bolt.leaves(utf8(KEY_BUCKET))) {
      for (const { key, value } of leaf) {
        const stored = revisionIn(key);
        const name = nameOf(readKeyValue(value).key);
        if (stored.isTombstone) newest.delete(name);
        else newest.set(name, stored.revision);
        revision = Math.max(revision, stored.revision);
      }
    }
    return new SnapshotReader(bolt, newest, { revision, leases: await leasesIn(bolt) });
  }

  private constructor(
    bolt: BoltReader,
    newest: ReadonlyMap<string, number>,
    facts: Pick<SnapshotReader, "revision" | "leases">,
  ) {
    this.#bolt = bolt;
    this.#newest = newest;
    this.revision = facts.revision;
    this.leases = facts.leases;
  }

  get keys(): number {
    return this.#newest.size;
  }

  /** In the order of revisions. */
  async *rows(): AsyncGenerator<KeyValue, void> {
    for await (const leaf of this.#bolt.leaves(utf8(KEY_BUCKET))) {
      for (const { key, value } of leaf) {
        const { revision, isTombstone } = revisionIn(key);
        const kv = readKeyValue(value);
        if (!isTombstone && this.#newest.get(nameOf(kv.key)) === revision) yield kv;
      }
    }
  }
}

async function compactedIn(bolt: BoltReader): Promise<number> {
  let revision = 1;
  for await (const leaf of bolt.leaves(utf8(META_BUCKET))) {
    for (const { key, value } of leaf) {
      if (utf8Text(key) === META_KEYS.compacted) ({ revision } = revisionIn(value));
    }
  }
  return revision;
}

async function leasesIn(bolt: BoltReader): Promise<ReadonlyMap<bigint, number>> {
  const leases = new Map<bigint, number>();
  for await (const leaf of bolt.leaves(utf8(LEASE_BUCKET))) {
    for (const { key, value } of leaf) {
      if (key.length !== 8) throw new DecodeError("a lease has no id");
      const id = new DataView(key.buffer, key.byteOffset).getBigUint64(0);
      leases.set(id, readLeaseTtl(value));
    }
  }
  return leases;
}

function revisionIn(key: Uint8Array): { revision: number; isTombstone: boolean } {
  const stored = readRevisionKey(key);
  if (stored === undefined) throw new DecodeError("a key-value has no revision");
  return stored;
}

/** Each byte as a character. */
function nameOf(key: Uint8Array): string {
  return LATIN1.decode(key);
}

const LATIN1 = new TextDecoder("latin1");
