/**
 * etcd under load: its Put and Range calls over plain HTTP/2 connections. Requests are protobuf
 * by hand, which is all there is to them:
 *
 * PutRequest   = 0a len key 12 len value
 * RangeRequest = 0a len key [38 01 when serializable]
 * WatchRequest = 0a len (0a len key)
 * LeaseGrantRequest     = 08 seconds 10 id
 * LeaseKeepAliveRequest = 08 id
 * gRPC message = 00 | u32 big-endian length | request
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { ByteWriter, writeU32BE } from "../../src/base/coding.js";
import { Http2Connection } from "./http2-client.js";
import type { Done, LoadTarget } from "./load.js";

export const PUT_PATH = "/etcdserverpb.KV/Put";
export const WATCH_PATH = "/etcdserverpb.Watch/Watch";
export const GRANT_PATH = "/etcdserverpb.Lease/LeaseGrant";
export const KEEP_ALIVE_PATH = "/etcdserverpb.Lease/LeaseKeepAlive";
export const RANGE_PATH = "/etcdserverpb.KV/Range";

const PREFIX_BYTES = 5;
const FIELD_KEY = 0x0a;
const FIELD_VALUE = 0x12;
const FIELD_CREATE = 0x0a;
const FIELD_SERIALIZABLE = 0x38;
const FIELD_TTL = 0x08;
const FIELD_GRANTED = 0x10;
const FIELD_ID = 0x08;
const CONNECT_TIMEOUT_MS = 5_000;

function message(fields: (writer: ByteWriter) => void, sizeBytes: number): Uint8Array {
  const writer = new ByteWriter(PREFIX_BYTES + sizeBytes);
  writer.u8(0);
  writer.reserve(4);
  fields(writer);
  writeU32BE(writer.bytes, 1, writer.length - PREFIX_BYTES);
  return writer.view();
}

function bytesField(writer: ByteWriter, tag: number, bytes: Uint8Array): void {
  writer.u8(tag);
  writer.varint(bytes.length);
  writer.raw(bytes);
}

export function putMessage(key: Uint8Array, value: Uint8Array): Uint8Array {
  return message(
    (writer) => {
      bytesField(writer, FIELD_KEY, key);
      bytesField(writer, FIELD_VALUE, value);
    },
    key.length + value.length + 12,
  );
}

export function rangeMessage(key: Uint8Array, serializable: boolean): Uint8Array {
  return message((writer) => {
    bytesField(writer, FIELD_KEY, key);
    if (serializable) {
      writer.u8(FIELD_SERIALIZABLE);
      writer.u8(1);
    }
  }, key.length + 8);
}

/** A watch of one key from now on. */
export function watchMessage(key: Uint8Array): Uint8Array {
  return message((writer) => {
    writer.u8(FIELD_CREATE);
    writer.varint(key.length + 2);
    bytesField(writer, FIELD_KEY, key);
  }, key.length + 8);
}

/** Both of less than 2^31. */
export function grantMessage(id: number, ttlSeconds: number): Uint8Array {
  return message((writer) => {
    writer.u8(FIELD_TTL);
    writer.varint(ttlSeconds);
    writer.u8(FIELD_GRANTED);
    writer.varint(id);
  }, 12);
}

export function keepAliveMessage(id: number): Uint8Array {
  return message((writer) => {
    writer.u8(FIELD_ID);
    writer.varint(id);
  }, 6);
}

export interface EtcdLoadOptions {
  /** host:port of each connection, one entry a connection. */
  readonly addresses: readonly string[];
  readonly serializable: boolean;
  /** A get that brings back fewer bytes has not found its key. */
  readonly valueBytes: number;
}

class EtcdTarget implements LoadTarget {
  readonly #links: readonly Link[];
  readonly #options: EtcdLoadOptions;

  constructor(links: readonly Link[], options: EtcdLoadOptions) {
    this.#links = links;
    this.#options = options;
  }

  put(connection: number, key: Uint8Array, value: Uint8Array, done: Done): void {
    const link = this.#links[connection % this.#links.length]!;
    link.http2.call({ path: PUT_PATH, body: putMessage(key, value), done });
  }

  get(connection: number, key: Uint8Array, done: Done): void {
    const link = this.#links[connection % this.#links.length]!;
    const { serializable, valueBytes } = this.#options;
    link.http2.call({
      path: RANGE_PATH,
      body: rangeMessage(key, serializable),
      done: (error, dataBytes) =>
        done(error ?? (dataBytes < valueBytes ? "the key is absent" : undefined)),
    });
  }

  close(): Promise<void> {
    for (const { socket } of this.#links) socket.destroy();
    return Promise.resolve();
  }
}

export interface Link {
  readonly socket: Socket;
  readonly http2: Http2Connection;
}

export function openLink(address: string): Promise<Link> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), noDelay: true });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error(`${address}: time-out`)));
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.setTimeout(0);
      const http2 = new Http2Connection((bytes) => socket.write(bytes), address);
      socket.on("data", (chunk: Uint8Array) => http2.receive(chunk));
      socket.on("error", (error) => http2.fail(error.message));
      socket.on("close", () => http2.fail("the connection was closed"));
      resolve({ socket, http2 });
    });
  });
}

export async function connectEtcd(options: EtcdLoadOptions): Promise<LoadTarget> {
  return new EtcdTarget(await Promise.all(options.addresses.map(openLink)), options);
}
