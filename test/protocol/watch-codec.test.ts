/** The codecs of key-values and watches: round trips, truncation, unknown kinds. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { ByteReader, ByteWriter, DecodeError } from "../../src/base/coding.js";
import {
  KeyValueView,
  decodeKeyValue,
  encodeKeyValue,
  leaseHigh,
  leaseLow,
  writeKeyValue,
} from "../../src/protocol/key-value-codec.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import {
  decodeWatchCreate,
  decodeWatchPart,
  encodeClosedPart,
  encodeEventsHead,
  encodeWatchCreate,
  encodeWatchEvent,
  writeWatchEvent,
} from "../../src/protocol/watch-codec.js";
import { bytes, counter, keyValue, watchEvent } from "./arbitraries.js";

function viewOf(kv: KeyValue): KeyValueView {
  const view = new KeyValueView();
  view.keyBytes = kv.key;
  view.keyLength = kv.key.length;
  view.valueBytes = kv.value;
  view.valueLength = kv.value.length;
  view.createRevision = kv.createRevision;
  view.modRevision = kv.modRevision;
  view.version = kv.version;
  view.leaseLow = leaseLow(kv.lease);
  view.leaseHigh = leaseHigh(kv.lease);
  return view;
}

describe("the key-value codec", () => {
  test.prop([keyValue])("gives back what it was given, from either form", (kv) => {
    const whole = new ByteWriter(8);
    encodeKeyValue(whole, kv);
    const viewed = new ByteWriter(8);
    writeKeyValue(viewed, viewOf(kv));
    expect(viewed.copy()).toEqual(whole.copy());
    expect(decodeKeyValue(new ByteReader(whole.copy()))).toEqual(kv);
  });
});

describe("the watch codec", () => {
  const create = fc.record({
    key: bytes,
    rangeEnd: fc.option(bytes, { nil: undefined }),
    startRevision: counter,
    prevKv: fc.boolean(),
    noPut: fc.boolean(),
    noDelete: fc.boolean(),
    progress: fc.boolean(),
  });

  test.prop([create])("a request comes back as it was and refuses truncation", (wanted) => {
    const out = new ByteWriter(8);
    encodeWatchCreate(out, wanted);
    const whole = out.copy();
    expect(decodeWatchCreate(new ByteReader(whole))).toEqual(wanted);
    for (let end = 0; end < whole.length; end++) {
      expect(() => decodeWatchCreate(new ByteReader(whole, 0, end))).toThrow(DecodeError);
    }
  });

  test.prop([counter, fc.array(watchEvent, { maxLength: 4 })])("parts", (revision, events) => {
    const encoded = new ByteWriter(8);
    const viewed = new ByteWriter(8);
    for (const event of events) {
      encodeWatchEvent(encoded, event);
      const previous = event.prevKv === undefined ? undefined : viewOf(event.prevKv);
      writeWatchEvent(viewed, event.type === "delete", viewOf(event.kv), previous);
    }
    expect(viewed.copy()).toEqual(encoded.copy());
    const part = new ByteWriter(8);
    for (const isLast of [false, true]) {
      part.reset();
      encodeEventsHead(part, revision, events.length, isLast);
      part.raw(encoded.view());
      const decoded = decodeWatchPart(new ByteReader(part.copy()));
      expect(decoded).toEqual({ kind: "events", revision, events, isLast });
    }
    part.reset();
    encodeClosedPart(part, revision);
    expect(decodeWatchPart(new ByteReader(part.copy()))).toEqual({ kind: "closed", revision });
  });

  test("unknown kinds and flags are refused", () => {
    const nine = new Uint8Array(9);
    nine[0] = 4;
    expect(() => decodeWatchPart(new ByteReader(nine))).toThrow(DecodeError);
    expect(() => decodeWatchCreate(new ByteReader(Uint8Array.of(32)))).toThrow(DecodeError);
  });
});
