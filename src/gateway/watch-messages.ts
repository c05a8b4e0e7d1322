/** Messages of etcd's watch stream: requests as they come in, responses as complete gRPC frames. */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { WatchEvent } from "../protocol/key-value.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import { keyValueHint, writeKeyValue } from "./kv-responses.js";
import type { HeaderWriter } from "./kv-responses.js";
import { WIRE_TYPES, WireWriter } from "./wire.js";
import type { WireReader } from "./wire.js";

export interface WatchCreate {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  /** 0: the server chooses. Clients may take any number of 64 bits. */
  readonly watchId: bigint;
  readonly fragment: boolean;
}

export type WatchRequest =
  | { readonly kind: "create"; readonly create: WatchCreate }
  | { readonly kind: "cancel"; readonly watchId: bigint }
  | { readonly kind: "progress" }
  | { readonly kind: "none" };

/** What a response can say besides its events. */
export interface WatchNote {
  readonly revision: number;
  readonly watchId: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
}

/** What stands before the events of a frame, at most. */
const HEAD_BYTES = 80;
/** Bytes of an event besides its keys and values. */
const EVENT_BYTES = 48;

export function readWatchRequest(reader: WireReader): WatchRequest {
  let request: WatchRequest = { kind: "none" };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      reader.skip(tag, 3);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) request = { kind: "create", create: readCreate(reader) };
    else if (tag === 0x12) request = { kind: "cancel", watchId: readWatchId(reader) };
    else request = { kind: "progress" };
    reader.leave(outer);
  }
  return request;
}

function readCreate(reader: WireReader): WatchCreate {
  let key = EMPTY_BYTES;
  let rangeEnd = EMPTY_BYTES;
  let startRevision = 0;
  let progressNotify = false;
  let prevKv = false;
  let watchId = 0n;
  let fragment = false;
  const filters = new Set<number>();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.blob();
    else if (tag === 0x12) rangeEnd = reader.blob();
    else if (tag === 0x18) startRevision = Math.min(reader.int64(), Number.MAX_SAFE_INTEGER);
    else if (tag === 0x20) progressNotify = reader.bool();
    else if (tag === 0x28 || tag === 0x2a) readFilters(reader, tag, filters);
    else if (tag === 0x30) prevKv = reader.bool();
    else if (tag === 0x38) watchId = reader.int64Big();
    else if (tag === 0x40) fragment = reader.bool();
    else reader.skip(tag, 8);
  }
  const [noPut, noDelete] = [filters.has(0), filters.has(1)];
  const asked = { key, rangeEnd, startRevision, progressNotify, noPut, noDelete };
  return { ...asked, prevKv, watchId, fragment };
}

/** Packed, as proto3 writes them, or one by one. */
function readFilters(reader: WireReader, tag: number, into: Set<number>): void {
  if ((tag & 7) === WIRE_TYPES.varint) {
    into.add(reader.int32());
    return;
  }
  const outer = reader.enter();
  while (reader.offset < reader.end) into.add(reader.int32());
  reader.leave(outer);
}

function readWatchId(reader: WireReader): bigint {
  let watchId = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) watchId = reader.int64Big();
    else reader.skip(tag, 1);
  }
  return watchId;
}

export function noteFrame(header: HeaderWriter, note: WatchNote): Uint8Array {
  const out = beginFrame();
  header.write(out, note.revision);
  out.int64Big(2, note.watchId);
  out.bool(3, note.created === true);
  out.bool(4, note.canceled === true);
  out.int64(5, note.compactRevision ?? 0);
  out.textField(6, note.cancelReason ?? "");
  return endFrame(out);
}

/** How the events of one revision are told. */
export interface EventsPlan {
  readonly revision: number;
  readonly watchId: bigint;
  /** Above this they come in several responses, each but the last saying so; 0: never. */
  readonly fragmentBytesMax: number;
}

export function eventFrames(
  header: HeaderWriter,
  plan: EventsPlan,
  events: readonly WatchEvent[],
): readonly Uint8Array[] {
  const { fragmentBytesMax } = plan;
  const frames: Uint8Array[] = [];
  for (let at = 0; at < events.length;) {
    const out = beginFrame();
    header.write(out, plan.revision);
    out.int64Big(2, plan.watchId);
    do {
      writeEvent(out, events[at++]!);
    } while (at < events.length && fits(out.length, events[at]!, fragmentBytesMax));
    out.bool(7, at < events.length);
    frames.push(endFrame(out));
  }
  return frames;
}

/** Events as they stand in a response, for a frame of any watch. */
export function encodeEvents(events: readonly WatchEvent[], hintBytes: number): Uint8Array {
  const out = new WireWriter(hintBytes);
  for (const event of events) writeEvent(out, event);
  return out.view();
}

/** One response with events that are encoded already. */
export function encodedFrame(
  header: HeaderWriter,
  plan: Pick<EventsPlan, "revision" | "watchId">,
  events: Uint8Array,
): Uint8Array {
  const out = beginFrame(events.length + HEAD_BYTES);
  header.write(out, plan.revision);
  out.int64Big(2, plan.watchId);
  out.slice(events, 0, events.length);
  return endFrame(out);
}

function fits(writtenBytes: number, next: WatchEvent, bytesMax: number): boolean {
  return bytesMax === 0 || writtenBytes + eventHint(next) <= bytesMax;
}

/** About how many bytes an event takes. */
export function eventHint({ kv, prevKv }: WatchEvent): number {
  return keyValueHint(kv) + (prevKv === undefined ? 0 : keyValueHint(prevKv)) + EVENT_BYTES;
}

function writeEvent(out: WireWriter, event: WatchEvent): void {
  const hint = eventHint(event) - EVENT_BYTES;
  const start = out.begin(11, hint);
  out.int64(1, event.type === "delete" ? 1 : 0);
  writeKeyValue(out, 2, event.kv);
  if (event.prevKv !== undefined) writeKeyValue(out, 3, event.prevKv);
  out.end(start, hint);
}
