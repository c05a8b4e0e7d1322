/**
 * Configurations as bytes, for log entries, snapshots and manifests.
 *
 * u8 version | voters | outgoing | learners | learnersNext, each: varint count, varint ids
 */
import { ByteReader, ByteWriter, DecodeError } from "../base/coding.js";
import { isSound } from "./configuration.js";
import type { Configuration, ReplicaId } from "./types.js";

const CONFIGURATION_VERSION = 1;
/** A longer list is no configuration of ours; stops a damaged count from allocating. */
const LIST_LENGTH_MAX = 1024;

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter(64);
  writeConfiguration(configuration, writer);
  return writer.copy();
}

export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new ByteReader(bytes);
  const configuration = readConfiguration(reader);
  if (reader.remaining !== 0) throw new DecodeError("bytes follow a configuration");
  return configuration;
}

export function writeConfiguration(configuration: Configuration, writer: ByteWriter): void {
  writer.u8(CONFIGURATION_VERSION);
  writeIds(configuration.voters, writer);
  writeIds(configuration.outgoing, writer);
  writeIds(configuration.learners, writer);
  writeIds(configuration.learnersNext, writer);
}

export function readConfiguration(reader: ByteReader): Configuration {
  const version = reader.u8();
  if (version !== CONFIGURATION_VERSION) {
    throw new DecodeError(`a configuration of version ${version}`);
  }
  const configuration: Configuration = {
    voters: readIds(reader),
    outgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
  };
  if (!isSound(configuration)) throw new DecodeError("a configuration that cannot be");
  return configuration;
}

function writeIds(ids: readonly ReplicaId[], writer: ByteWriter): void {
  writer.varint(ids.length);
  for (const id of ids) writer.varint(id);
}

function readIds(reader: ByteReader): ReplicaId[] {
  const count = reader.varint();
  if (count > LIST_LENGTH_MAX) throw new DecodeError(`a configuration with ${count} members`);
  const ids: ReplicaId[] = [];
  for (let i = 0; i < count; i++) ids.push(reader.varint());
  return ids;
}
