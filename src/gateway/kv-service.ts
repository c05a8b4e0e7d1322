/** etcd's KV service: requests in as bytes, answers out as complete gRPC frames. */
import type { KeyValue } from "../protocol/key-value.js";
import type { Operation, Transaction } from "../protocol/operations.js";
import type { Backend } from "./backend.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import { readDelete, readPut, readRange, readTransaction } from "./kv-requests.js";
import {
  keyValueHint,
  writeDelete,
  writePut,
  writeRange,
  writeTransaction,
} from "./kv-responses.js";
import type { HeaderWriter } from "./kv-responses.js";
import { checkProposedSize } from "./request-size.js";
import type { WireReader, WireWriter } from "./wire.js";

const BASE_BYTES = 128;

export class KvService {
  readonly #backend: Backend;
  readonly #header: HeaderWriter;
  readonly #requestBytesMax: number;

  constructor(backend: Backend, header: HeaderWriter, requestBytesMax: number) {
    this.#backend = backend;
    this.#header = header;
    this.#requestBytesMax = requestBytesMax;
  }

  async range(reader: WireReader): Promise<Uint8Array> {
    const { operation, consistency } = readRange(reader, this.#backend.isLearner);
    const answer = await this.#backend.range(operation, consistency);
    const out = this.#begin(answer.revision, answer.kvs);
    writeRange(out, answer);
    return endFrame(out);
  }

  async put(reader: WireReader): Promise<Uint8Array> {
    const operation = readPut(reader);
    this.#checkSize(reader);
    const answer = await this.#backend.put(operation);
    const { prevKv } = answer;
    const out = this.#begin(answer.revision, prevKv === undefined ? NONE : [prevKv]);
    writePut(out, answer);
    return endFrame(out);
  }

  async deleteRange(reader: WireReader): Promise<Uint8Array> {
    const operation = readDelete(reader);
    this.#checkSize(reader);
    const answer = await this.#backend.delete(operation);
    const out = this.#begin(answer.revision, answer.prevKvs);
    writeDelete(out, answer);
    return endFrame(out);
  }

  async txn(reader: WireReader): Promise<Uint8Array> {
    const { transaction, consistency } = readTransaction(reader);
    if (!readsOnly(transaction)) this.#checkSize(reader);
    const answer = await this.#backend.txn(transaction, consistency);
    const out = this.#begin(answer.revision, NONE);
    writeTransaction(out, answer);
    return endFrame(out);
  }

  async compact(reader: WireReader): Promise<Uint8Array> {
    let revision = 0;
    let physical = false;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 0x08) revision = reader.int64();
      else if (tag === 0x10) physical = reader.bool();
      else reader.skip(tag, 2);
    }
    const asked = Math.min(Math.max(revision, 0), Number.MAX_SAFE_INTEGER);
    return endFrame(this.#begin(await this.#backend.compact(asked, physical), NONE));
  }

  #checkSize({ bytes }: WireReader): void {
    checkProposedSize(bytes.length, this.#requestBytesMax);
  }

  /** An answer with its header, with room for what will follow. */
  #begin(revision: number, kvs: readonly KeyValue[]): WireWriter {
    let bytes = BASE_BYTES;
    for (const kv of kvs) bytes += keyValueHint(kv) + 32;
    const out = beginFrame(bytes);
    this.#header.write(out, revision);
    return out;
  }
}

const NONE: readonly KeyValue[] = [];

/** Those that etcd does not propose; it does any with another inside. */
function readsOnly({ success, failure }: Transaction): boolean {
  const isRange = ({ kind }: Operation): boolean => kind === "range";
  return success.every(isRange) && failure.every(isRange);
}
