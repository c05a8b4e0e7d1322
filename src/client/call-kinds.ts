/** The requests that go to one shard: how each is written, and its answer read. */
import type { ByteReader } from "../base/coding.js";
import { decodeAnswerHeader } from "../protocol/answer-header.js";
import { encodeGet } from "../protocol/get-codec.js";
import type { ReadOptions } from "../protocol/get-codec.js";
import type { ResponseHeader } from "../protocol/key-value.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { encodeTransaction } from "../protocol/operation-codec.js";
import type { Operation, Transaction } from "../protocol/operations.js";
import { encodePut } from "../protocol/put-codec.js";
import type { PutRequest } from "../protocol/put-codec.js";
import { encodeCompact, encodeTxnHead } from "../protocol/request-codec.js";
import type { CompactRequest } from "../protocol/request-codec.js";
import {
  decodeOptionalKeyValue,
  decodeOptionalKeyValueView,
  decodeTransactionResult,
} from "../protocol/result-codec.js";
import type { GetResponse, PutResponse, TransactionResponse } from "./client-types.js";
import type { CallKind } from "./routed-call.js";

export const PUT_CALL: CallKind<PutRequest, PutResponse> = {
  name: "put",
  type: MESSAGE_TYPES.put,
  isRead: false,
  encode: encodePut,
  decode: (reader) => ({
    header: decodeAnswerHeader(reader),
    prevKv: decodeOptionalKeyValue(reader),
  }),
};

export interface GetRequest {
  /** The stored key. */
  readonly key: Uint8Array;
  readonly options: ReadOptions;
}

export const GET_CALL: CallKind<GetRequest, GetResponse> = {
  name: "get",
  type: MESSAGE_TYPES.get,
  isRead: true,
  encode: (out, shard, request) => encodeGet(out, shard, request.options, request.key),
  decode: (reader) => ({
    header: decodeAnswerHeader(reader),
    kv: decodeOptionalKeyValue(reader),
  }),
};

/** The same; bytes of the answer are views. */
export const GET_VIEW_CALL: CallKind<GetRequest, GetResponse> = {
  ...GET_CALL,
  decode: (reader) => ({
    header: decodeAnswerHeader(reader),
    kv: decodeOptionalKeyValueView(reader),
  }),
};

export interface TxnRequest {
  readonly options: ReadOptions;
  /** In stored keys. */
  readonly txn: Transaction;
}

export const WRITE_TXN_CALL: CallKind<TxnRequest, TransactionResponse> = {
  name: "transaction",
  type: MESSAGE_TYPES.txn,
  isRead: false,
  encode: (out, shard, request) => {
    encodeTxnHead(out, shard, request.options);
    encodeTransaction(out, request.txn);
  },
  decode: decodeTransactionResponse,
};

/** A transaction of ranges only. */
export const READ_TXN_CALL: CallKind<TxnRequest, TransactionResponse> = {
  ...WRITE_TXN_CALL,
  name: "range",
  isRead: true,
};

export const COMPACT_CALL: CallKind<CompactRequest, ResponseHeader> = {
  name: "compact",
  type: MESSAGE_TYPES.compact,
  isRead: false,
  encode: encodeCompact,
  decode: decodeAnswerHeader,
};

export function isReadOnly(txn: Transaction): boolean {
  return txn.success.every(readsOnly) && txn.failure.every(readsOnly);
}

function readsOnly(operation: Operation): boolean {
  return operation.kind === "range" || (operation.kind === "txn" && isReadOnly(operation.txn));
}

function decodeTransactionResponse(reader: ByteReader): TransactionResponse {
  const header = decodeAnswerHeader(reader);
  const { succeeded, results } = decodeTransactionResult(reader);
  return { header, succeeded, results };
}
