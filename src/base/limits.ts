/**
 * Every bound of the product that a user can meet, in one place. An error that refuses something
 * names the limit from here. The relations between bounds are asserted below.
 */
import { assert } from "./assert.js";

/** Largest user key. */
export const KEY_SIZE_BYTES_MAX: number = 64 * 1024;
/** Default of the configurable limit on the keys and values of one request. */
export const REQUEST_SIZE_BYTES_MAX: number = 1536 * 1024;
/** What headers and framing of one operation may take beside its keys and its value. */
export const OPERATION_FRAMING_BYTES = 128;
/**
 * What the framing of a request may have beyond that limit, so that what is within it by etcd's
 * count always fits: there are compares and the operations of both branches.
 */
export const REQUEST_FRAMING_BYTES: number = 64 * 1024;
/** Largest value that passes with the default request limit and any key. */
export const VALUE_SIZE_BYTES_GUARANTEED: number = 1024 * 1024;
/**
 * Largest log entry. The effects of a command are not yet spread over several entries, so a delete
 * of more than this is refused and has to be asked for in parts.
 */
export const ENTRY_SIZE_BYTES_MAX: number = 4 * 1024 * 1024;
/** What the limit on one request may be configured to: its entry must fit. */
export const REQUEST_SIZE_BYTES_BOUND: number = 3 * 1024 * 1024;
/** A frame beyond this is no message of ours: the connection is closed. */
export const FRAME_SIZE_BYTES_MAX: number = 16 * 1024 * 1024;
/** Events of one revision beyond this go in several parts. One event may come on top of it. */
export const WATCH_PART_BYTES: number = 8 * 1024 * 1024;
/** What the events of one revision may take where a watcher puts their parts together. */
export const WATCH_REVISION_BYTES_MAX: number = 128 * 1024 * 1024;
/** Operations in one transaction, as in etcd. */
export const TRANSACTION_OPERATIONS_MAX = 128;
/**
 * Rows that the ranges, compares and deletes of one transaction may visit together: more would hold
 * the event loop too long. A range alone has no bound, for it is read in slices.
 */
export const TRANSACTION_ROWS_MAX = 200_000;
/**
 * Nesting of transactions: what the bound on operations allows anyway, for one inside of another is
 * an operation of each that is around.
 */
export const TRANSACTION_DEPTH_MAX: number = TRANSACTION_OPERATIONS_MAX;
/**
 * Steps in which the deletes of one transaction are compared with its puts, to tell whether a key
 * is written twice: more would hold the event loop too long.
 */
export const TRANSACTION_STEPS_MAX = 20_000_000;
/** What a lease may be granted, in seconds, as in etcd; less than the least is raised to it. */
export const LEASE_TTL_SECONDS_MIN = 2;
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** What the effects may take that delete all keys of a lease: they go in one entry. */
export const LEASE_EFFECTS_BYTES_MAX: number = 3 * 1024 * 1024;
/** One answer to a range carries about this much; the rest is asked for again. */
export const RANGE_RESPONSE_SIZE_BYTES: number = 1024 * 1024;
/** Chunks of a Raft snapshot on the bulk connection. */
export const SNAPSHOT_CHUNK_SIZE_BYTES: number = 256 * 1024;
/** Shards of one keyspace. */
export const KEYSPACE_SHARDS_MAX = 1024;
/** Replicas that a shard is made with. */
export const REPLICATION_FACTOR_MAX = 7;
/** The cluster map, which nodes hand to each other and to clients as one message. */
export const MAP_SIZE_BYTES_MAX: number = 8 * 1024 * 1024;

assert(KEY_SIZE_BYTES_MAX + VALUE_SIZE_BYTES_GUARANTEED < REQUEST_SIZE_BYTES_MAX);
assert(REQUEST_SIZE_BYTES_MAX <= REQUEST_SIZE_BYTES_BOUND);
assert(3 * TRANSACTION_OPERATIONS_MAX * OPERATION_FRAMING_BYTES <= REQUEST_FRAMING_BYTES);
assert(REQUEST_SIZE_BYTES_BOUND + REQUEST_FRAMING_BYTES < ENTRY_SIZE_BYTES_MAX);
assert(LEASE_EFFECTS_BYTES_MAX + KEY_SIZE_BYTES_MAX < ENTRY_SIZE_BYTES_MAX);
assert(ENTRY_SIZE_BYTES_MAX * 2 < FRAME_SIZE_BYTES_MAX);
assert(MAP_SIZE_BYTES_MAX < FRAME_SIZE_BYTES_MAX);
assert(
  WATCH_PART_BYTES + 2 * (REQUEST_SIZE_BYTES_BOUND + REQUEST_FRAMING_BYTES + KEY_SIZE_BYTES_MAX) <
    FRAME_SIZE_BYTES_MAX,
);
