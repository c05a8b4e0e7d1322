/**
 * The watch request and the parts of its stream.
 *
 *   create: u8 flags (1 rangeEnd, 2 prevKv, 4 noPut, 8 noDelete, 16 progress) | u53 startRevision
 *           | blob key [| blob rangeEnd]                         after the routed header
 *   part:   u8 1 | u53 revision | u32 count | events             the events of one revision
 *           u8 2 | u53 closedRevision                            no event at or below comes later
 *           u8 3 | u53 revision | u32 count | events             the first; more of them follow
 *   event:  u8 flags (1 delete, 2 previous) | key-value [| previous key-value]
 *
 * The key-value of a delete has only its key and modRevision. A client's frame with the one byte
 * WATCH_NUDGE asks the shard to close as far as it can. Part 3 is for who says in his hello that
 * he knows of it (FEATURES.revisionParts).
 */
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { decodeKeyValue, encodeKeyValue, writeKeyValue } from "./key-value-codec.js";
import type { KeyValueView } from "./key-value-codec.js";
import type { WatchEvent } from "./key-value.js";

export const WATCH_NUDGE = 1;

const CREATE = { rangeEnd: 1, prevKv: 2, noPut: 4, noDelete: 8, progress: 16 } as const;
const CREATE_FLAGS_ALL = 31;
const PART = { events: 1, closed: 2, firstEvents: 3 } as const;
const EVENT = { delete: 1, previous: 2 } as const;

export interface WatchCreate {
  readonly key: Uint8Array;
  /** undefined: the single key. */
  readonly rangeEnd: Uint8Array | undefined;
  /** 0: from now on. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** Tell the closed revision as it advances, also when there are no events. */
  readonly progress: boolean;
}

export interface EventsPart {
  readonly kind: "events";
  readonly revision: number;
  readonly events: readonly WatchEvent[];
  /** No more events of this revision follow. */
  readonly isLast: boolean;
}

export type WatchPart = EventsPart | { readonly kind: "closed"; readonly revision: number };

export function encodeWatchCreate(out: ByteWriter, create: WatchCreate): void {
  let flags = create.rangeEnd === undefined ? 0 : CREATE.rangeEnd;
  if (create.prevKv) flags |= CREATE.prevKv;
  if (create.noPut) flags |= CREATE.noPut;
  if (create.noDelete) flags |= CREATE.noDelete;
  if (create.progress) flags |= CREATE.progress;
  out.u8(flags);
  out.u53(create.startRevision);
  out.blob(create.key);
  if (create.rangeEnd !== undefined) out.blob(create.rangeEnd);
}

/** The keys are copies: a watch outlives the frame that asked for it. */
export function decodeWatchCreate(reader: ByteReader): WatchCreate {
  const flags = reader.u8();
  if (flags > CREATE_FLAGS_ALL) throw new DecodeError("unknown flags of a watch");
  const startRevision = reader.u53();
  const key = reader.blobCopy();
  return {
    key,
    rangeEnd: (flags & CREATE.rangeEnd) === 0 ? undefined : reader.blobCopy(),
    startRevision,
    prevKv: (flags & CREATE.prevKv) !== 0,
    noPut: (flags & CREATE.noPut) !== 0,
    noDelete: (flags & CREATE.noDelete) !== 0,
    progress: (flags & CREATE.progress) !== 0,
  };
}

/** `count` encoded events follow, one after the other. */
export function encodeEventsHead(
  out: ByteWriter,
  revision: number,
  count: number,
  isLast: boolean,
): void {
  out.u8(isLast ? PART.events : PART.firstEvents);
  out.u53(revision);
  out.u32(count);
}

export function encodeClosedPart(out: ByteWriter, revision: number): void {
  out.u8(PART.closed);
  out.u53(revision);
}

export function decodeWatchPart(reader: ByteReader): WatchPart {
  const kind = reader.u8();
  const revision = reader.u53();
  if (kind === PART.closed) return { kind: "closed", revision };
  const isLast = kind === PART.events;
  if (!isLast && kind !== PART.firstEvents)
    throw new DecodeError(`unknown part ${kind} of a watch`);
  const count = reader.u32();
  const events: WatchEvent[] = [];
  for (let i = 0; i < count; i++) events.push(decodeWatchEvent(reader));
  return { kind: "events", revision, events, isLast };
}

/** One event from views; the serving side encodes each event once for all who watch it. */
export function writeWatchEvent(
  out: ByteWriter,
  isDelete: boolean,
  kv: KeyValueView,
  previous: KeyValueView | undefined,
): void {
  out.u8((isDelete ? EVENT.delete : 0) | (previous === undefined ? 0 : EVENT.previous));
  writeKeyValue(out, kv);
  if (previous !== undefined) writeKeyValue(out, previous);
}

export function encodeWatchEvent(out: ByteWriter, event: WatchEvent): void {
  const flags = event.type === "delete" ? EVENT.delete : 0;
  out.u8(event.prevKv === undefined ? flags : flags | EVENT.previous);
  encodeKeyValue(out, event.kv);
  if (event.prevKv !== undefined) encodeKeyValue(out, event.prevKv);
}

export function decodeWatchEvent(reader: ByteReader): WatchEvent {
  const flags = reader.u8();
  if (flags > 3) throw new DecodeError("unknown flags of a watch event");
  const type = (flags & EVENT.delete) === 0 ? "put" : "delete";
  const kv = decodeKeyValue(reader);
  const prevKv = (flags & EVENT.previous) === 0 ? undefined : decodeKeyValue(reader);
  return { type, kv, prevKv };
}
