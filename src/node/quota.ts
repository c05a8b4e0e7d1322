/**
 * What the default keyspace may take, as etcd's quota of a backend: the leader of a shard of it
 * looks at the bytes of the replicas at its own node, refuses what would grow them beyond it, and
 * has the alarm NOSPACE raised for its node. From then on every leader refuses such writes,
 * whatever its own files take, until the alarm is disarmed: the alarm is part of the map.
 *
 * The bytes are looked up only where those of the writes since the last look might have gone over
 * it, and now and then where other nodes lead shards of it too. It bounds what is stored, and
 * promises no more: writes that are under way go through.
 */
import type { AlarmKind } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Replica } from "../shard/replica.js";

export const QUOTA_BYTES_DEFAULT: number = 2 * 1024 ** 3;
/** What an entry takes beside key and value, about. */
const ENTRY_OVERHEAD_BYTES = 256;
/** Of writes that are counted here, after which what others have written is looked at too. */
const LOOK_EVERY_BYTES: number = 16 * 1024 ** 2;

/** What a write adds that makes room, and needs little itself. */
export const FREES = -1;

export interface QuotaHost {
  /** Whether such an alarm is raised for any node. */
  isRaised(kind: AlarmKind): boolean;
  /** Of all replicas of the default keyspace at this node. */
  heldBytes(): number;
  /** Called for each write that is over the quota. */
  exceeded(): void;
}

export class Quota {
  /** -1: there is none. */
  readonly quotaBytes: number;
  readonly #host: QuotaHost;
  /** That have written here since they became what they are. */
  readonly #known: WeakSet<Replica> = new WeakSet();
  /** Of the replicas when they were last looked at, and of writes since then. */
  #heldBytes = 0;
  #addedBytes = 0;

  constructor(settingBytes: number, host: QuotaHost) {
    const quotaBytes = settingBytes === 0 ? QUOTA_BYTES_DEFAULT : settingBytes;
    this.quotaBytes = Math.max(-1, quotaBytes);
    this.#host = host;
  }

  /** Why a write to the default keyspace is refused that may add `bytes`; 0: a delete. */
  refusal(replica: Replica, bytes: number): KvError | undefined {
    if (this.#host.isRaised("corrupt")) return corrupt();
    if (bytes <= 0) return undefined;
    if (this.#host.isRaised("noSpace")) return exceeded();
    if (!this.#known.has(replica) || this.#addedBytes > LOOK_EVERY_BYTES) this.#look();
    this.#known.add(replica);
    const added = bytes + ENTRY_OVERHEAD_BYTES;
    if (this.#overBy(added)) this.#look();
    if (this.#overBy(added)) {
      this.#host.exceeded();
      return exceeded();
    }
    this.#addedBytes += added;
    return undefined;
  }

  #overBy(bytes: number): boolean {
    const { quotaBytes } = this;
    return quotaBytes >= 0 && this.#heldBytes + this.#addedBytes + bytes > quotaBytes;
  }

  #look(): void {
    this.#heldBytes = this.#host.heldBytes();
    this.#addedBytes = 0;
  }
}

function exceeded(): KvError {
  const text =
    "the default keyspace has exceeded its quota, or the alarm NOSPACE was raised; compact it, " +
    "defragment, then disarm the alarm";
  return notApplied("noSpace", text);
}

function corrupt(): KvError {
  return notApplied(
    "corrupt",
    "the alarm CORRUPT was raised: nothing is written until it is disarmed",
  );
}
