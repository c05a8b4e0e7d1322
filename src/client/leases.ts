/**
 * The leases of a keyspace, which live in its one shard. An id is chosen here, at random, so that
 * whoever asks knows it before the answer comes.
 */
import type { ByteReader } from "../base/coding.js";
import { LEASE_TTL_SECONDS_MAX } from "../base/limits.js";
import { decodeAnswerHeader } from "../protocol/answer-header.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { leaseId } from "../protocol/key-value-codec.js";
import { decodeLeaseIds, decodeLeaseState, encodeLeaseRequest } from "../protocol/lease-codec.js";
import type { LeaseRequest } from "../protocol/lease-codec.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { keyspaceRange } from "../route/stored-key.js";
import { leasesRefused } from "../route/stored-transaction.js";
import type {
  Headed,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseListResponse,
  LeaseTimeToLiveResponse,
  Leases,
} from "./client-types.js";
import { routedCall } from "./routed-call.js";
import type { CallKind } from "./routed-call.js";
import type { Session } from "./session.js";

const ID_ATTEMPTS = 8;

function callKind<Answer>(
  name: string,
  isRead: boolean,
  decode: (reader: ByteReader) => Answer,
): CallKind<LeaseRequest, Answer> {
  return { name, type: MESSAGE_TYPES.lease, isRead, encode: encodeLeaseRequest, decode };
}

const headed = (reader: ByteReader): Headed => ({ header: decodeAnswerHeader(reader) });
const withSeconds = (reader: ByteReader): LeaseKeepAliveResponse => ({
  header: decodeAnswerHeader(reader),
  ttlSeconds: reader.u53(),
});

const GRANT_CALL = callKind("lease grant", false, withSeconds);
const REVOKE_CALL = callKind("lease revoke", false, headed);
/** Done twice it is as good as done once. */
const KEEP_ALIVE_CALL = callKind("lease keep-alive", true, withSeconds);
const LIST_CALL = callKind("lease list", true, (reader) => ({
  header: decodeAnswerHeader(reader),
  ids: decodeLeaseIds(reader),
}));
const TIME_TO_LIVE_CALL = callKind("lease timetolive", true, (reader): LeaseTimeToLiveResponse => {
  const header = decodeAnswerHeader(reader);
  const state = decodeLeaseState(reader);
  if (state === undefined) return { header, ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] };
  const { remainingSeconds, grantedSeconds, keys } = state;
  return { header, ttlSeconds: remainingSeconds, grantedTtlSeconds: grantedSeconds, keys };
});

export class LeaseClient implements Leases {
  readonly #session: Session;
  readonly #described: () => Promise<KeyspaceDescriptor>;

  constructor(session: Session, described: () => Promise<KeyspaceDescriptor>) {
    this.#session = session;
    this.#described = described;
  }

  async grant(ttlSeconds: number, id = 0n): Promise<LeaseGrantResponse> {
    if (!Number.isFinite(ttlSeconds)) throw notApplied("invalidArgument", "a TTL is a number");
    const bound = LEASE_TTL_SECONDS_MAX;
    const asked = Math.min(Math.max(0, Math.ceil(ttlSeconds)), bound + 1);
    for (let attempt = 1; ; attempt++) {
      const chosen = id === 0n ? this.#randomId() : id;
      try {
        const request = requestOf("grant", chosen, asked);
        return { ...(await this.#call(GRANT_CALL, request)), id: chosen };
      } catch (error) {
        const taken = id === 0n && error instanceof KvError && error.code === "leaseExists";
        if (!taken || attempt === ID_ATTEMPTS) throw error;
      }
    }
  }

  revoke(id: bigint): Promise<Headed> {
    return this.#call(REVOKE_CALL, requestOf("revoke", id));
  }

  keepAlive(id: bigint): Promise<LeaseKeepAliveResponse> {
    return this.#call(KEEP_ALIVE_CALL, requestOf("keepAlive", id));
  }

  timeToLive(id: bigint, options?: { readonly keys?: boolean }): Promise<LeaseTimeToLiveResponse> {
    const request = { ...requestOf("timeToLive", id), keys: options?.keys === true };
    return this.#call(TIME_TO_LIVE_CALL, request);
  }

  list(): Promise<LeaseListResponse> {
    return this.#call(LIST_CALL, requestOf("list", 0n));
  }

  /** Positive as a signed number, and not 0. */
  #randomId(): bigint {
    const { random } = this.#session.env;
    const high = Math.floor(random.fraction() * 0x8000_0000);
    const low = 1 + Math.floor(random.fraction() * 0xffff_ffff);
    return leaseId(low, high);
  }

  async #call<Answer>(
    kind: CallKind<LeaseRequest, Answer>,
    request: LeaseRequest,
  ): Promise<Answer> {
    const keyspace = await this.#described();
    if (!keyspace.dense) throw leasesRefused(keyspace);
    const interval = keyspaceRange(keyspace.keyspaceId);
    const level = 0;
    return routedCall(this.#session, kind, { key: interval.start, interval, level }, request);
  }
}

function requestOf(kind: LeaseRequest["kind"], id: bigint, ttlSeconds = 0): LeaseRequest {
  return { kind, id, ttlSeconds, keys: false };
}
