/**
 * Messages as bytes. Every message begins with a fixed header; the hot ones (append,
 * appendResponse, heartbeat, heartbeatResponse) have fixed layouts after it, the others are as
 * short to write that they have too.
 *
 * u8 kind | u53 from | u53 to | u53 term | fields in the order of message.ts
 *
 * runs = u16 count, each: u8 kind | u53 term | u32 entries | u32 length | bytes
 *
 * A run's first index follows from prevIndex and the runs before it. Decoded runs are views into
 * the buffer: who keeps them keeps the buffer. Decoding never trusts: it throws DecodeError.
 */
import { type ByteReader, type ByteWriter, DecodeError } from "../base/coding.js";
import { type EntryKind, type EntryRun, isWellFormedRun } from "../base/entry-run.js";
import { readConfiguration, writeConfiguration } from "./configuration-codec.js";
import type { AppendMessage, Message } from "./message.js";
import type { ReplicaId } from "./types.js";

/** Wire codes; part of the format, never renumbered. */
const KIND_CODES = {
  preVote: 1,
  preVoteResponse: 2,
  vote: 3,
  voteResponse: 4,
  append: 5,
  appendResponse: 6,
  heartbeat: 7,
  heartbeatResponse: 8,
  timeoutNow: 9,
  readIndex: 10,
  readIndexResponse: 11,
  installSnapshot: 12,
  refill: 13,
  quiesce: 14,
} as const;

const ENTRY_KIND_CODES = { command: 1, noop: 2, configuration: 3 } as const;
const ENTRY_KINDS: readonly (EntryKind | undefined)[] = [
  undefined,
  "command",
  "noop",
  "configuration",
];
const NO_RUNS: readonly EntryRun[] = [];
const RUNS_MAX = 0xffff;

export function encodeMessage(message: Message, writer: ByteWriter): void {
  writer.u8(KIND_CODES[message.kind]);
  writer.u53(message.from);
  writer.u53(message.to);
  writer.u53(message.term);
  switch (message.kind) {
    case "append":
      writeAppend(message, writer);
      break;
    case "appendResponse":
      writer.u53(message.index);
      writer.u53(message.logTerm);
      writeFlag(message.rejected, writer);
      writer.u53(message.hintIndex);
      break;
    case "heartbeat":
      writer.u53(message.round);
      writer.u53(message.commitIndex);
      writer.u32(message.promiseMs);
      writeFlag(message.release, writer);
      break;
    case "heartbeatResponse":
      writer.u53(message.round);
      writeFlag(message.promised, writer);
      break;
    case "preVote":
      writer.u53(message.round);
      writer.u53(message.lastIndex);
      writer.u53(message.lastTerm);
      break;
    case "preVoteResponse":
      writer.u53(message.round);
      writeFlag(message.granted, writer);
      break;
    case "vote":
      writer.u53(message.lastIndex);
      writer.u53(message.lastTerm);
      writeFlag(message.transfer, writer);
      break;
    case "voteResponse":
      writeFlag(message.granted, writer);
      break;
    case "quiesce":
      writer.u53(message.round);
      writer.u53(message.index);
      writer.u53(message.logTerm);
      break;
    case "timeoutNow":
      writer.u53(message.lastIndex);
      break;
    case "readIndex":
      writer.u53(message.request);
      break;
    case "readIndexResponse":
      writer.u53(message.request);
      writer.u53(message.index);
      break;
    case "installSnapshot":
      writer.u53(message.mark.index);
      writer.u53(message.mark.term);
      writeConfiguration(message.mark.configuration, writer);
      break;
    case "refill":
      writer.u53(message.lastIndex);
      writer.u53(message.stateIndex);
      break;
  }
}

export function decodeMessage(reader: ByteReader): Message {
  const code = reader.u8();
  const from = readId(reader);
  const to = readId(reader);
  const term = reader.u53();
  return decodeBody(code, from, to, term, reader);
}

function decodeBody(
  code: number,
  from: ReplicaId,
  to: ReplicaId,
  term: number,
  reader: ByteReader,
): Message {
  switch (code) {
    case KIND_CODES.append: {
      const prevIndex = reader.u53();
      const prevTerm = reader.u53();
      const commitIndex = reader.u53();
      const runs = readRuns(prevIndex + 1, prevTerm, reader);
      return { kind: "append", from, to, term, prevIndex, prevTerm, commitIndex, runs };
    }
    case KIND_CODES.appendResponse: {
      const index = reader.u53();
      const logTerm = reader.u53();
      const rejected = readFlag(reader);
      const hintIndex = reader.u53();
      return { kind: "appendResponse", from, to, term, index, logTerm, rejected, hintIndex };
    }
    case KIND_CODES.heartbeat: {
      const round = reader.u53();
      const commitIndex = reader.u53();
      const promiseMs = reader.u32();
      const release = readFlag(reader);
      return { kind: "heartbeat", from, to, term, round, commitIndex, promiseMs, release };
    }
    case KIND_CODES.heartbeatResponse: {
      const round = reader.u53();
      return { kind: "heartbeatResponse", from, to, term, round, promised: readFlag(reader) };
    }
    default:
      return decodeRareBody(code, from, to, term, reader);
  }
}

function decodeRareBody(
  code: number,
  from: ReplicaId,
  to: ReplicaId,
  term: number,
  reader: ByteReader,
): Message {
  switch (code) {
    case KIND_CODES.preVote: {
      const round = reader.u53();
      const lastIndex = reader.u53();
      return { kind: "preVote", from, to, term, round, lastIndex, lastTerm: reader.u53() };
    }
    case KIND_CODES.preVoteResponse: {
      const round = reader.u53();
      return { kind: "preVoteResponse", from, to, term, round, granted: readFlag(reader) };
    }
    case KIND_CODES.vote: {
      const lastIndex = reader.u53();
      const lastTerm = reader.u53();
      return { kind: "vote", from, to, term, lastIndex, lastTerm, transfer: readFlag(reader) };
    }
    case KIND_CODES.voteResponse:
      return { kind: "voteResponse", from, to, term, granted: readFlag(reader) };
    case KIND_CODES.quiesce: {
      const round = reader.u53();
      const index = reader.u53();
      return { kind: "quiesce", from, to, term, round, index, logTerm: reader.u53() };
    }
    case KIND_CODES.timeoutNow:
      return { kind: "timeoutNow", from, to, term, lastIndex: reader.u53() };
    case KIND_CODES.readIndex:
      return { kind: "readIndex", from, to, term, request: reader.u53() };
    case KIND_CODES.readIndexResponse: {
      const request = reader.u53();
      return { kind: "readIndexResponse", from, to, term, request, index: reader.u53() };
    }
    case KIND_CODES.installSnapshot: {
      const index = reader.u53();
      const markTerm = reader.u53();
      const configuration = readConfiguration(reader);
      const mark = { index, term: markTerm, configuration };
      return { kind: "installSnapshot", from, to, term, mark };
    }
    case KIND_CODES.refill: {
      const lastIndex = reader.u53();
      return { kind: "refill", from, to, term, lastIndex, stateIndex: reader.u53() };
    }
    default:
      throw new DecodeError(`a message of unknown kind ${code}`);
  }
}

function writeAppend(message: AppendMessage, writer: ByteWriter): void {
  const { runs } = message;
  if (runs.length > RUNS_MAX) throw new RangeError("too many runs in one append");
  writer.u53(message.prevIndex);
  writer.u53(message.prevTerm);
  writer.u53(message.commitIndex);
  writer.u16(runs.length);
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i]!;
    writer.u8(ENTRY_KIND_CODES[run.kind]);
    writer.u53(run.term);
    writer.u32(run.count);
    writer.blob(run.bytes);
  }
}

function readRuns(from: number, prevTerm: number, reader: ByteReader): readonly EntryRun[] {
  const count = reader.u16();
  if (count === 0) return NO_RUNS;
  const runs: EntryRun[] = [];
  let firstIndex = from;
  let termBefore = prevTerm;
  for (let i = 0; i < count; i++) {
    const kind = ENTRY_KINDS[reader.u8()];
    const term = reader.u53();
    const entries = reader.u32();
    if (kind === undefined) throw new DecodeError("entries of an unknown kind");
    if (term < termBefore) throw new DecodeError("terms that fall within a log");
    if (kind !== "command" && entries !== 1) throw new DecodeError(`${entries} times ${kind}`);
    const run: EntryRun = { kind, term, firstIndex, count: entries, bytes: reader.blobView() };
    if (!isWellFormedRun(run)) throw new DecodeError("a run that is not whole entries");
    runs.push(run);
    firstIndex += entries;
    termBefore = term;
  }
  return runs;
}

function readId(reader: ByteReader): ReplicaId {
  const id = reader.u53();
  if (id === 0) throw new DecodeError("a message from or to nobody");
  return id;
}

function writeFlag(flag: boolean, writer: ByteWriter): void {
  writer.u8(flag ? 1 : 0);
}

function readFlag(reader: ByteReader): boolean {
  const code = reader.u8();
  if (code > 1) throw new DecodeError(`a flag of ${code}`);
  return code === 1;
}
