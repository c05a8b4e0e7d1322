/**
 * A snapshot of one keyspace: what it holds at one revision, without its history, as a file or as
 * the stream of etcd's Snapshot call. It is not etcd's format, of which only the end is taken over,
 * for etcdctl looks at that. Little-endian. DO NOT CHANGE: what is new gets a new version.
 *
 *   head     "FLOTSNAP" | u16 version, 1 | u16 0 | u53 revision | u64 cluster
 *   records  u32 bytes | u8 kind | body, as many as there are; kinds are
 *              1  a key-value, as in key-value-codec: key, value, createRevision, modRevision,
 *                 version, lease. Ascending by key
 *              2  a lease of keys before it: u64 id | u53 TTL as granted, in seconds
 *              3  the last one: u53 keys, how many there were
 *   padding  zeros to a multiple of 512 bytes
 *   trailer  SHA-256 of all before
 */
import { EMPTY_BYTES, concatBytes, equalBytes, utf8 } from "../base/bytes.js";
import { ByteReader, ByteWriter, DecodeError, readU32, writeU32 } from "../base/coding.js";
import { FRAME_SIZE_BYTES_MAX } from "../base/limits.js";
import { SHA256_BYTES, Sha256 } from "../base/sha256.js";
import { decodeKeyValue, decodeLease, encodeKeyValue, encodeLease } from "./key-value-codec.js";
import type { KeyValue } from "./key-value.js";

const MAGIC: Uint8Array = utf8("FLOTSNAP");
const VERSION = 1;
const HEAD_BYTES = 28;
const KINDS = { keyValue: 1, lease: 2, end: 3 } as const;
const BLOCK_BYTES = 512;

export interface SnapshotHead {
  /** What is in it is what the keyspace had at this revision. */
  readonly revision: number;
  readonly clusterId: bigint;
}

/** Makes a snapshot piece by piece, to be taken away as it grows. */
export class SnapshotWriter {
  /** Of the keys that were added. */
  readonly leaseIds: Set<bigint> = new Set();
  readonly #out = new ByteWriter(1024);
  readonly #hash = new Sha256();
  #takenBytes = 0;
  #keys = 0;

  constructor(head: SnapshotHead) {
    const out = this.#out;
    out.raw(MAGIC);
    out.u16(VERSION);
    out.u16(0);
    out.u53(head.revision);
    encodeLease(out, head.clusterId);
  }

  /** What may be taken. */
  get waitingBytes(): number {
    return this.#out.length;
  }

  /** Of all that has been written so far. */
  get writtenBytes(): number {
    return this.#takenBytes + this.#out.length;
  }

  get keys(): number {
    return this.#keys;
  }

  add(kv: KeyValue): void {
    const at = this.#begin(KINDS.keyValue);
    encodeKeyValue(this.#out, kv);
    this.#end(at);
    this.#keys++;
    if (kv.lease !== 0n) this.leaseIds.add(kv.lease);
  }

  /** A lease of keys that were added; its TTL is 0 where it has ended since. */
  addLease(id: bigint, ttlSeconds: number): void {
    const at = this.#begin(KINDS.lease);
    encodeLease(this.#out, id);
    this.#out.u53(ttlSeconds);
    this.#end(at);
  }

  /** The last record and the padding; what is left to be taken is followed by `trailer`. */
  finish(): void {
    const at = this.#begin(KINDS.end);
    this.#out.u53(this.#keys);
    this.#end(at);
    this.#out.raw(new Uint8Array((BLOCK_BYTES - (this.writtenBytes % BLOCK_BYTES)) % BLOCK_BYTES));
  }

  /** The next bytes, at most so many. */
  take(bytesMax: number): Uint8Array {
    const out = this.#out;
    const size = Math.min(out.length, bytesMax);
    const bytes = out.bytes.slice(0, size);
    this.#hash.update(bytes);
    out.bytes.copyWithin(0, size, out.length);
    out.length -= size;
    this.#takenBytes += size;
    return bytes;
  }

  /** Behind everything that was taken. */
  trailer(): Uint8Array {
    return this.#hash.digest();
  }

  #begin(kind: number): number {
    const at = this.#out.reserve(4);
    this.#out.u8(kind);
    return at;
  }

  #end(at: number): void {
    writeU32(this.#out.bytes, at, this.#out.length - at - 4);
  }
}

/** Reads a snapshot piece by piece. Throws DecodeError for bytes that are none, or none of ours. */
export class SnapshotReader {
  head: SnapshotHead | undefined;
  keys = 0;
  bytes = 0;
  /** Of a snapshot that is whole. */
  hash: Uint8Array | undefined;
  /** TTLs by id; of 0 for one that ended while the snapshot was made. */
  readonly leases: Map<bigint, number> = new Map();
  readonly #hash = new Sha256();
  #rest: Uint8Array = EMPTY_BYTES;
  #isEnded = false;

  /** The key-values that are complete by now. */
  push(chunk: Uint8Array): KeyValue[] {
    this.bytes += chunk.length;
    const bytes = this.#rest.length === 0 ? chunk : concatBytes(this.#rest, chunk);
    const found: KeyValue[] = [];
    let at = this.head === undefined ? this.#readHead(bytes) : 0;
    while (!this.#isEnded && this.head !== undefined && bytes.length - at >= 4) {
      const size = readU32(bytes, at);
      if (size === 0 || size > FRAME_SIZE_BYTES_MAX) {
        throw new DecodeError(`a record of ${size} bytes`);
      }
      if (bytes.length - at - 4 < size) break;
      const kv = this.#readRecord(new ByteReader(bytes, at + 4, at + 4 + size));
      if (kv !== undefined) found.push(kv);
      at += 4 + size;
    }
    this.#hash.update(bytes.subarray(0, at));
    this.#rest = bytes.slice(at);
    if (this.#isEnded && this.#rest.length > BLOCK_BYTES + SHA256_BYTES) throw overlong();
    return found;
  }

  /** Everything was pushed: throws DecodeError unless it is whole and as it was written. */
  finish(): void {
    const padding = this.#rest.length - SHA256_BYTES;
    if (!this.#isEnded || padding < 0) throw new DecodeError("the snapshot is cut short");
    const isAligned = (this.bytes - SHA256_BYTES) % BLOCK_BYTES === 0;
    if (!isAligned || padding >= BLOCK_BYTES) throw overlong();
    this.#hash.update(this.#rest.subarray(0, padding));
    const hash = this.#hash.digest();
    if (!equalBytes(hash, this.#rest.subarray(padding))) {
      throw new DecodeError("the snapshot is damaged: its SHA-256 is another one");
    }
    this.hash = hash;
  }

  /** Gives how many bytes it has. */
  #readHead(bytes: Uint8Array): number {
    const start = bytes.subarray(0, MAGIC.length);
    if (!equalBytes(start, MAGIC.subarray(0, start.length))) {
      throw new DecodeError("this is no snapshot of Flotilla");
    }
    if (bytes.length < HEAD_BYTES) return 0;
    const reader = new ByteReader(bytes, MAGIC.length, HEAD_BYTES);
    const version = reader.u16();
    if (version !== VERSION || reader.u16() !== 0) {
      throw new DecodeError(`a snapshot of version ${version}; only ${VERSION} is known`);
    }
    this.head = { revision: reader.u53(), clusterId: decodeLease(reader) };
    return HEAD_BYTES;
  }

  #readRecord(reader: ByteReader): KeyValue | undefined {
    const kind = reader.u8();
    const kv = kind === KINDS.keyValue ? decodeKeyValue(reader) : undefined;
    if (kv !== undefined) this.keys++;
    else if (kind === KINDS.lease) this.leases.set(decodeLease(reader), reader.u53());
    else if (kind !== KINDS.end) throw new DecodeError(`a record of kind ${kind}`);
    else if (reader.u53() !== this.keys) throw new DecodeError("the snapshot lacks keys");
    else this.#isEnded = true;
    if (reader.remaining > 0) throw new DecodeError("a record has bytes behind its end");
    return kv;
  }
}

function overlong(): DecodeError {
  return new DecodeError("the snapshot has bytes behind its end");
}
