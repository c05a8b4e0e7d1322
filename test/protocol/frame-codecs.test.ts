/** The fixed layouts: what is written comes back, and whatever is cut or forged is refused. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, DecodeError, readU32 } from "../../src/base/coding.js";
import { decodePlain, encodePlain } from "../../src/protocol/admin-codec.js";
import {
  AnswerHeader,
  decodeAnswerHeader,
  encodeAnswerHeader,
} from "../../src/protocol/answer-header.js";
import type { ShardDescriptor } from "../../src/protocol/cluster.js";
import { decodeError, encodeError } from "../../src/protocol/error-codec.js";
import { ERROR_CODES, KvError } from "../../src/protocol/errors.js";
import type { ErrorCode } from "../../src/protocol/errors.js";
import { beginFrame, endFrame } from "../../src/protocol/frame-format.js";
import { GetView, decodeGet, encodeGet } from "../../src/protocol/get-codec.js";
import { clientHello, decodeHello, encodeHello } from "../../src/protocol/hello-codec.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { PutView, decodePut, encodePut } from "../../src/protocol/put-codec.js";
import { decodeCompact, encodeCompact } from "../../src/protocol/request-codec.js";
import {
  RoutedHeader,
  decodeRoutedHeader,
  skipOptionalFields,
} from "../../src/protocol/routed-header.js";

const u53 = fc.maxSafeNat();
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 80 });

const descriptor: fc.Arbitrary<ShardDescriptor> = fc.record({
  shardId: u32,
  keyspaceId: u32,
  range: fc.record({ start: bytes, end: fc.option(bytes, { nil: undefined }) }),
  epoch: fc.record({ configuration: u32, range: u32 }),
  generation: u53,
  preferredNodeId: u53,
  replicas: fc.array(
    fc.record({
      replicaId: u53,
      nodeId: u53,
      role: fc.constantFrom<"voter" | "learner">("voter", "learner"),
    }),
    { maxLength: 4 },
  ),
});

/** The reader must refuse every proper prefix, and never read past its end. */
function refusesPrefixes(whole: Uint8Array, read: (cut: Uint8Array) => unknown): void {
  for (let length = 0; length < whole.length; length++) {
    expect(() => read(whole.slice(0, length))).toThrow(DecodeError);
  }
}

describe("the put request", () => {
  property.prop([descriptor, bytes, bytes, fc.integer({ min: 0, max: 7 }), u32, u32])(
    "comes back as it was, and is refused when cut",
    (shard, key, value, flags, leaseLow, leaseHigh) => {
      const out = new ByteWriter(1);
      out.u8(99);
      encodePut(out, shard, { key, value, flags, leaseLow, leaseHigh });
      const [routed, view] = [new RoutedHeader(), new PutView()];
      const read = (from: Uint8Array, at: number): void => {
        decodePut(from, decodeRoutedHeader(from, at, from.length, routed), from.length, view);
      };
      read(out.copy(), 1);
      expect(routed).toMatchObject({
        keyspaceId: shard.keyspaceId,
        shardId: shard.shardId,
        configuration: shard.epoch.configuration,
        range: shard.epoch.range,
      });
      expect(view.bytes.slice(view.keyOffset, view.keyOffset + view.keyLength)).toEqual(key);
      expect(view.bytes.slice(view.valueOffset, view.valueOffset + view.valueLength)).toEqual(
        value,
      );
      expect([view.flags, view.leaseLow, view.leaseHigh]).toEqual([flags, leaseLow, leaseHigh]);
      refusesPrefixes(out.copy().slice(1), (cut) => read(cut, 0));
    },
  );

  test("has the bytes that the format says", () => {
    const out = new ByteWriter();
    const shard = {
      shardId: 2,
      keyspaceId: 1,
      range: { start: new Uint8Array(0), end: undefined },
      epoch: { configuration: 3, range: 4 },
      generation: 0,
      replicas: [],
      preferredNodeId: 0,
    };
    const put = { key: new Uint8Array([7]), value: new Uint8Array([8, 9]), flags: 1 };
    encodePut(out, shard, { ...put, leaseLow: 5, leaseHigh: 6 });
    const words = [1, 2, 3, 4].flatMap((n) => [n, 0, 0, 0]);
    const rest = [1, 5, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7, 8, 9];
    expect([...out.view()]).toEqual([...words, ...rest]);
  });

  test("with forged lengths is refused", () => {
    const forged = new Uint8Array(17).fill(0xff);
    expect(() => decodePut(forged, 0, 17, new PutView())).toThrow(DecodeError);
  });
});

describe("the get request", () => {
  property.prop([descriptor, bytes, u53, u32, u53, fc.integer({ min: 0, max: 3 })])(
    "comes back as it was, and is refused when cut",
    (shard, key, revision, maxStalenessMs, minRevision, level) => {
      const out = new ByteWriter(1);
      encodeGet(out, shard, { level, flags: 1, revision, maxStalenessMs, minRevision }, key);
      const view = new GetView();
      const read = (from: Uint8Array): void => {
        const at = decodeRoutedHeader(from, 0, from.length, new RoutedHeader());
        decodeGet(from, at, from.length, view);
      };
      const whole = out.copy();
      read(whole);
      expect(view).toMatchObject({ level, flags: 1, revision, maxStalenessMs, minRevision });
      expect(whole.slice(view.keyOffset, view.keyOffset + view.keyLength)).toEqual(key);
      refusesPrefixes(whole, read);
    },
  );
});

describe("errors", () => {
  property.prop([
    fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])),
    fc.string(),
    fc.boolean(),
    fc.option(u53, { nil: undefined }),
    fc.option(u53, { nil: undefined }),
    fc.option(fc.array(descriptor, { maxLength: 3 }), { nil: undefined }),
  ])("come back with all they carry", (code, message, known, leaderNodeId, bound, shards) => {
    const outcome = known ? "notApplied" : "unknown";
    const details = { leaderNodeId, bound, shards };
    const out = new ByteWriter(1);
    encodeError(out, new KvError(code, message, outcome, details));
    const back = decodeError(new ByteReader(out.copy()));
    expect([back.code, back.outcome]).toEqual([code, outcome]);
    expect(back.message).toBe(new TextDecoder().decode(new TextEncoder().encode(message)));
    expect({ ...back.details, shards: back.details.shards }).toEqual(details);
    refusesPrefixes(out.copy(), (cut) => decodeError(new ByteReader(cut)));
  });

  test("of a later version keep their outcome", () => {
    const out = new ByteWriter();
    encodeError(out, new KvError("internal", "news", "notApplied"));
    out.bytes.set([200, 200], 0);
    const back = decodeError(new ByteReader(out.view()));
    expect([back.code, back.outcome, back.message]).toEqual(["internal", "notApplied", "news"]);
  });
});

describe("small codecs", () => {
  property.prop([u53, u32, u53, u53, fc.integer({ min: 0, max: 3 }), u32])(
    "the answer header comes back",
    (revision, shardId, nodeId, raftTerm, level, ageMs) => {
      const out = new ByteWriter(1);
      const fields = { revision, shardId, nodeId, raftTerm, level, ageMs };
      encodeAnswerHeader(out, Object.assign(new AnswerHeader(), fields));
      const header = decodeAnswerHeader(new ByteReader(out.copy()));
      const names = ["linearizable", "lease", "follower", "stale"];
      expect(header).toEqual({ ...fields, level: names[level] });
    },
  );

  test("an unknown level is refused", () => {
    const out = new ByteWriter();
    encodeAnswerHeader(out, Object.assign(new AnswerHeader(), { level: 4 }));
    expect(() => decodeAnswerHeader(new ByteReader(out.view()))).toThrow(DecodeError);
  });

  property.prop([fc.string(), fc.string(), u53, u53, u32])(
    "the hello comes back, and what follows it is skipped",
    (clusterId, incarnation, nodeId, run, features) => {
      const hello = {
        ...clientHello("c"),
        kind: "bulk",
        incarnation,
        nodeId,
        run,
        features,
      } as const;
      const out = new ByteWriter(1);
      encodeHello(out, { ...hello, clusterId });
      const length = out.length;
      out.raw(new Uint8Array([1, 2, 3]));
      const back = decodeHello(out.copy(), 0, out.length);
      expect(back).toMatchObject({ kind: "bulk", nodeId, run, features });
      refusesPrefixes(out.copy().slice(0, length), (cut) => decodeHello(cut, 0, cut.length));
    },
  );

  test("optional fields are skipped, cut ones refused", () => {
    const fields = new Uint8Array([3, 2, 0, 0, 0, 9, 9, 250, 0, 0, 0, 0]);
    const reader = new ByteReader(fields);
    skipOptionalFields(reader);
    expect(reader.remaining).toBe(0);
    expect(() => skipOptionalFields(new ByteReader(fields, 0, 6))).toThrow(DecodeError);
  });

  test("a frame's length counts what follows it", () => {
    const out = new ByteWriter(1);
    out.u8(1);
    const at = beginFrame(out, MESSAGE_TYPES.put, 5, 0xfffe_0001);
    out.u16(7);
    endFrame(out, at);
    expect(readU32(out.bytes, at)).toBe(8);
    expect([...out.view().subarray(5)]).toEqual([16, 5, 1, 0, 0xfe, 0xff, 7, 0]);
  });

  test("plain objects keep bytes, large numbers and absence; other bytes are refused", () => {
    const value = {
      bytes: new Uint8Array([1, 2]),
      large: 2 ** 53 - 1,
      absent: undefined,
      list: [1],
    };
    const out = new ByteWriter();
    encodePlain(out, value);
    const back = decodePlain<typeof value>(new ByteReader(out.view()));
    expect([...back.bytes]).toEqual([1, 2]);
    expect([back.large, back.absent, back.list]).toEqual([2 ** 53 - 1, undefined, [1]]);
    for (const garbage of [[], [5], [0xc1], [0x81], [0xdf, 255, 255, 255, 255]]) {
      expect(() => decodePlain(new ByteReader(new Uint8Array(garbage)))).toThrow(DecodeError);
    }
  });

  test("compact comes back", () => {
    const out = new ByteWriter();
    const shard = { shardId: 1, keyspaceId: 1, epoch: { configuration: 1, range: 1 } };
    encodeCompact(out, shard as ShardDescriptor, { revision: 2 ** 40 });
    const back = decodeCompact(new ByteReader(out.view(), 16));
    expect(back).toEqual({ revision: 2 ** 40 });
  });
});
