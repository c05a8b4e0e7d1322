/**
 * What stands in front of the answer to every data request.
 *
 *   u53 revision | u32 shardId | u53 nodeId | u53 raftTerm | u8 level | u32 ageMs
 */
import { DecodeError, writeU32, writeU53 } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { READ_LEVELS } from "./key-value.js";
import type { ReadLevel, ResponseHeader } from "./key-value.js";

export const ANSWER_HEADER_BYTES = 33;

/** The names of the levels by their numbers. */
const LEVEL_NAMES: readonly ReadLevel[] = Object.keys(READ_LEVELS) as ReadLevel[];

/** The answering side's form, with the level as its number; filled again for each answer. */
export class AnswerHeader {
  revision = 0;
  shardId = 0;
  nodeId = 0;
  raftTerm = 0;
  level = 0;
  ageMs = 0;
}

export function encodeAnswerHeader(out: ByteWriter, header: AnswerHeader): void {
  const at = out.reserve(ANSWER_HEADER_BYTES);
  const bytes = out.bytes;
  writeU53(bytes, at, header.revision);
  writeU32(bytes, at + 8, header.shardId);
  writeU53(bytes, at + 12, header.nodeId);
  writeU53(bytes, at + 20, header.raftTerm);
  bytes[at + 28] = header.level;
  writeU32(bytes, at + 29, header.ageMs);
}

export function decodeAnswerHeader(reader: ByteReader): ResponseHeader {
  const revision = reader.u53();
  const shardId = reader.u32();
  const nodeId = reader.u53();
  const raftTerm = reader.u53();
  const level = levelName(reader.u8());
  const ageMs = reader.u32();
  return { revision, shardId, nodeId, raftTerm, level, ageMs };
}

/** The level with a number of READ_LEVELS; DecodeError for any other number. */
export function levelName(level: number): ReadLevel {
  const name = LEVEL_NAMES[level];
  if (name === undefined) throw new DecodeError("an unknown read level");
  return name;
}
