/**
 * The hello: what each side says about itself before anything else.
 *
 *   u32 magic "FLTL" | u16 version min | u16 version max | u8 kind | u32 features
 *   | u53 nodeId | u53 run | text clusterId | text incarnation | later fields, skipped
 *
 * The magic and the two versions stay where they are for ever, so that strangers can be told apart
 * from old and new relations.
 */
import { ByteReader, DecodeError } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";

/** "FLTL", little-endian. */
const HELLO_MAGIC = 0x4c54_4c46;

/** Versions of the protocol that this code speaks. */
export const PROTOCOL_VERSION_MIN = 1;
export const PROTOCOL_VERSION_MAX = 1;

/** A hello is never longer; nothing longer is read from a stranger. */
export const HELLO_SIZE_BYTES_MAX = 4096;

/** What a connection is for; the number is the format. */
export const CONNECTION_KINDS = ["client", "control", "data", "bulk"] as const;
export type ConnectionKind = (typeof CONNECTION_KINDS)[number];

/** Bits of `Hello.features`, of what not every release could do. */
export const FEATURES = {
  /** A client puts together a watched revision that comes in parts. */
  revisionParts: 1,
} as const;

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly kind: ConnectionKind;
  /** Empty where the speaker does not know it yet. */
  readonly clusterId: string;
  /** 0 for a client. */
  readonly nodeId: number;
  /** Store id of the data directory; empty for a client. */
  readonly incarnation: string;
  /** Which start of the node this is; 0 for a client. */
  readonly run: number;
  /** Bits of optional abilities; unknown ones are ignored. */
  readonly features: number;
}

/** What a client says. */
export function clientHello(clusterId: string): Hello {
  return {
    versionMin: PROTOCOL_VERSION_MIN,
    versionMax: PROTOCOL_VERSION_MAX,
    kind: "client",
    clusterId,
    nodeId: 0,
    incarnation: "",
    run: 0,
    features: FEATURES.revisionParts,
  };
}

export function encodeHello(out: ByteWriter, hello: Hello): void {
  out.u32(HELLO_MAGIC);
  out.u16(hello.versionMin);
  out.u16(hello.versionMax);
  out.u8(CONNECTION_KINDS.indexOf(hello.kind));
  out.u32(hello.features);
  out.u53(hello.nodeId);
  out.u53(hello.run);
  out.text(hello.clusterId);
  out.text(hello.incarnation);
}

/** Throws DecodeError for whatever is no hello. */
export function decodeHello(bytes: Uint8Array, offset: number, end: number): Hello {
  const reader = new ByteReader(bytes, offset, end);
  if (reader.u32() !== HELLO_MAGIC) throw new DecodeError("the magic is not Flotilla's");
  const versionMin = reader.u16();
  const versionMax = reader.u16();
  const kind = CONNECTION_KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError("an unknown kind of connection");
  const features = reader.u32();
  const nodeId = reader.u53();
  const run = reader.u53();
  const clusterId = reader.text();
  const incarnation = reader.text();
  return { versionMin, versionMax, kind, clusterId, nodeId, incarnation, run, features };
}

/** Whether two speakers share a version of the protocol. */
export function versionsOverlap(a: Hello, b: Hello): boolean {
  return a.versionMin <= b.versionMax && b.versionMin <= a.versionMax;
}
