/**
 * Messages survive the way through bytes; bytes that are no message are refused and never read
 * past their end.
 */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, DecodeError } from "../../src/base/coding.js";
import { type EntryRun, singleRun } from "../../src/base/entry-run.js";
import { decodeConfiguration, encodeConfiguration } from "../../src/raft/configuration-codec.js";
import { isSound } from "../../src/raft/configuration.js";
import { decodeMessage, encodeMessage } from "../../src/raft/message-codec.js";
import type { Message } from "../../src/raft/message.js";
import type { Configuration } from "../../src/raft/types.js";
import { encodeCommands } from "./entries.js";

const counter = fc.oneof(
  fc.nat(100),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 100_000 }),
);
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const ids = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 5 });
const header = { from: id, to: id, term: counter };

const configuration: fc.Arbitrary<Configuration> = fc
  .record({ voters: ids, outgoing: ids, learners: ids, learnersNext: ids })
  .filter(isSound);

const appendMessage: fc.Arbitrary<Message> = fc
  .record({
    ...header,
    prevIndex: counter,
    prevTerm: fc.nat(50),
    commitIndex: counter,
    parts: fc.array(
      fc.tuple(fc.constantFrom(0, 0, 1), fc.array(fc.string({ maxLength: 60 }), { minLength: 1 })),
      { maxLength: 4 },
    ),
  })
  .map(({ parts, ...rest }) => {
    const runs: EntryRun[] = [];
    let firstIndex = rest.prevIndex + 1;
    let term = rest.prevTerm;
    for (const [rise, texts] of parts) {
      term += rise;
      const bytes = encodeCommands(...texts);
      const run: EntryRun =
        texts.length === 1 && rise === 1
          ? singleRun("noop", term, firstIndex, new Uint8Array(0))
          : { kind: "command", term, firstIndex, count: texts.length, bytes };
      runs.push(run);
      firstIndex += run.count;
    }
    return { kind: "append", ...rest, runs };
  });

const flag = fc.boolean();
const message: fc.Arbitrary<Message> = fc.oneof(
  appendMessage,
  fc.record({
    kind: fc.constant("appendResponse" as const),
    ...header,
    index: counter,
    logTerm: counter,
    rejected: flag,
    hintIndex: counter,
  }),
  fc.record({
    kind: fc.constant("heartbeat" as const),
    ...header,
    round: counter,
    commitIndex: counter,
    promiseMs: fc.nat(0xffff_ffff),
    release: flag,
  }),
  fc.record({
    kind: fc.constant("heartbeatResponse" as const),
    ...header,
    round: counter,
    promised: flag,
  }),
  fc.record({
    kind: fc.constant("preVote" as const),
    ...header,
    round: counter,
    lastIndex: counter,
    lastTerm: counter,
  }),
  fc.record({
    kind: fc.constant("preVoteResponse" as const),
    ...header,
    round: counter,
    granted: flag,
  }),
  fc.record({
    kind: fc.constant("vote" as const),
    ...header,
    lastIndex: counter,
    lastTerm: counter,
    transfer: flag,
  }),
  fc.record({ kind: fc.constant("voteResponse" as const), ...header, granted: flag }),
  fc.record({
    kind: fc.constant("quiesce" as const),
    ...header,
    round: counter,
    index: counter,
    logTerm: counter,
  }),
  fc.record({ kind: fc.constant("timeoutNow" as const), ...header, lastIndex: counter }),
  fc.record({ kind: fc.constant("readIndex" as const), ...header, request: counter }),
  fc.record({
    kind: fc.constant("readIndexResponse" as const),
    ...header,
    request: counter,
    index: counter,
  }),
  fc.record({
    kind: fc.constant("installSnapshot" as const),
    ...header,
    mark: fc.record({ index: counter, term: counter, configuration }),
  }),
);

function encoded(value: Message): Uint8Array {
  const writer = new ByteWriter(16);
  encodeMessage(value, writer);
  return writer.copy();
}

/** Decodes, and tells a refusal from any other failure. */
function decodedOrRefused(bytes: Uint8Array): Message | "refused" {
  try {
    return decodeMessage(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return "refused";
    throw error;
  }
}

describe("the message codec", () => {
  property.prop([message], { seed: 1, numRuns: 500 })("gives back what went in", (value) => {
    const reader = new ByteReader(encoded(value));
    expect(decodeMessage(reader)).toEqual(value);
    expect(reader.remaining).toBe(0);
  });

  property.prop([message, fc.nat()], { seed: 2, numRuns: 300 })(
    "refuses every message that is cut short",
    (value, cut) => {
      const bytes = encoded(value);
      expect(decodedOrRefused(bytes.subarray(0, cut % bytes.length))).toBe("refused");
    },
  );

  property.prop([message, fc.nat(), fc.integer({ min: 1, max: 255 })], { seed: 3, numRuns: 500 })(
    "survives any damaged byte",
    (value, at, change) => {
      const bytes = encoded(value);
      bytes[at % bytes.length]! ^= change;
      decodedOrRefused(bytes);
    },
  );

  property.prop([fc.uint8Array({ maxLength: 200 })], { seed: 4, numRuns: 500 })(
    "survives bytes that never were a message",
    (bytes) => {
      decodedOrRefused(bytes);
    },
  );

  test("appends keep the layout that other versions read", () => {
    const value: Message = {
      kind: "append",
      from: 1,
      to: 2,
      term: 3,
      prevIndex: 4,
      prevTerm: 3,
      commitIndex: 4,
      runs: [{ kind: "command", term: 3, firstIndex: 5, count: 1, bytes: encodeCommands("x") }],
    };
    const u53 = (low: number): number[] => [low, 0, 0, 0, 0, 0, 0, 0];
    const head = [5, ...u53(1), ...u53(2), ...u53(3)];
    const place = [...u53(4), ...u53(3), ...u53(4), 1, 0];
    const run = [1, ...u53(3), 1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, "x".charCodeAt(0)];
    expect([...encoded(value)]).toEqual(head.concat(place, run));
  });
});

describe("the configuration codec", () => {
  property.prop([configuration], { seed: 5 })("gives back what went in", (value) => {
    expect(decodeConfiguration(encodeConfiguration(value))).toEqual(value);
  });

  test("refuses what no configuration can be", () => {
    const voterless = { voters: [], outgoing: [], learners: [1], learnersNext: [] };
    expect(() => decodeConfiguration(encodeConfiguration(voterless))).toThrow(DecodeError);
    const trailing = new Uint8Array([...encodeConfiguration({ ...voterless, voters: [2] }), 0]);
    expect(() => decodeConfiguration(trailing)).toThrow(DecodeError);
  });
});
