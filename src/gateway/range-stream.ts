/**
 * etcd's RangeStream: a range of any size in parts, all of one revision, read page by page while
 * the client has room. The last part alone has the header, the count, and whether there is more.
 */
import type { KeyValue } from "../protocol/key-value.js";
import type { RangeOperation } from "../protocol/operations.js";
import type { Backend, RangeAnswer } from "./backend.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import { readRange } from "./kv-requests.js";
import { keyValueHint, writeKeyValue, writeRange } from "./kv-responses.js";
import type { HeaderWriter } from "./kv-responses.js";
import { notImplemented } from "./status.js";
import type { WireReader } from "./wire.js";

/** Of keys and values in one part, about. */
const PART_BYTES: number = 256 * 1024;
const NO_KVS: readonly KeyValue[] = [];

/** Refusals are what its first `next` rejects with. */
export async function* rangeParts(
  backend: Backend,
  header: HeaderWriter,
  reader: WireReader,
): AsyncGenerator<Uint8Array, void> {
  const { operation, consistency } = readRange(reader);
  if (!isPlain(operation)) {
    throw notImplemented("a streamed range is in the order of keys, without bounds of revisions");
  }
  const counting = { ...operation, limit: 0, countOnly: true };
  const { revision, count } = await backend.range(counting, consistency);
  const end: RangeAnswer = { revision, kvs: NO_KVS, more: false, count };
  if (operation.countOnly || count === 0) return yield lastPart(header, end);
  const asked = operation.revision === 0 ? revision : operation.revision;
  let kvs: KeyValue[] = [];
  let bytes = 0;
  for await (const kv of backend.scan({ ...operation, revision: asked }, consistency)) {
    if (bytes >= PART_BYTES) {
      yield part(kvs, bytes);
      kvs = [];
      bytes = 0;
    }
    kvs.push(kv);
    bytes += keyValueHint(kv) + 32;
  }
  const more = operation.limit > 0 && operation.limit < count;
  yield lastPart(header, { revision, kvs, more, count });
}

function isPlain(operation: RangeOperation): boolean {
  const { sortOrder, sortTarget, minModRevision, maxModRevision } = operation;
  const { minCreateRevision, maxCreateRevision } = operation;
  const bounds = minModRevision + maxModRevision + minCreateRevision + maxCreateRevision;
  return sortOrder !== "descend" && sortTarget === "key" && bounds === 0;
}

function part(kvs: readonly KeyValue[], bytes: number): Uint8Array {
  const out = beginFrame(bytes);
  const start = out.begin(1, bytes);
  for (const kv of kvs) writeKeyValue(out, 2, kv);
  out.end(start, bytes);
  return endFrame(out);
}

function lastPart(header: HeaderWriter, answer: RangeAnswer): Uint8Array {
  const out = beginFrame();
  const start = out.begin(1, PART_BYTES);
  header.write(out, answer.revision);
  writeRange(out, answer);
  out.end(start, PART_BYTES);
  return endFrame(out);
}
