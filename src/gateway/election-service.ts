/** etcd's Election service. */
import type { AnswerStream } from "./answer-stream.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import { keyValueHint, writeKeyValue } from "./kv-responses.js";
import type { HeaderWriter } from "./kv-responses.js";
import type { LeaderAnswer, LeaderKey, LeaderStream, LineBackend } from "./line-backend.js";
import { bytesIn, inWords, leaseIn } from "./lock-service.js";
import { decodeMessage } from "./message-codec.js";
import type { Message } from "./message-codec.js";
import { ETCD } from "./messages.js";
import { lineError } from "./status.js";
import type { WireReader } from "./wire.js";

const LEADER_REQUEST = ETCD.message("v3electionpb.LeaderRequest");
const HEADER_BYTES = 64;

export class ElectionService {
  readonly #backend: LineBackend;
  readonly #header: HeaderWriter;

  constructor(backend: LineBackend, header: HeaderWriter) {
    this.#backend = backend;
    this.#header = header;
  }

  async campaign(request: Message, signal: AbortSignal | undefined): Promise<Message> {
    const [name, value] = [bytesIn(request, "name"), bytesIn(request, "value")];
    const candidate = { name, lease: leaseIn(request), value };
    const { revision, leader } = await inWords(this.#backend.campaign(candidate, signal));
    const { key, createRevision, lease } = leader;
    return {
      revision: BigInt(revision),
      leader: { name: leader.name, key, rev: BigInt(createRevision), lease },
    };
  }

  async proclaim(request: Message): Promise<Message> {
    const value = bytesIn(request, "value");
    const { revision, isLeader } = await this.#backend.proclaim(leaderIn(request), value);
    if (!isLeader) throw lineError("election: not leader");
    return { revision: BigInt(revision) };
  }

  async leader(reader: WireReader): Promise<Uint8Array> {
    const found = await this.#backend.leader(nameIn(reader));
    if (found === undefined) throw lineError("election: no leader");
    return leaderFrame(this.#header, found);
  }

  observe(reader: WireReader): AnswerStream {
    return new Observation(this.#header, this.#backend.observe(nameIn(reader)));
  }

  async resign(request: Message): Promise<Message> {
    return { revision: BigInt(await this.#backend.resign(leaderIn(request))) };
  }
}

class Observation implements AnswerStream {
  readonly #header: HeaderWriter;
  readonly #leaders: LeaderStream;

  constructor(header: HeaderWriter, leaders: LeaderStream) {
    this.#header = header;
    this.#leaders = leaders;
  }

  async next(): Promise<Uint8Array | undefined> {
    const found = await this.#leaders.next();
    return found === undefined ? undefined : leaderFrame(this.#header, found);
  }

  close(): void {
    this.#leaders.cancel();
  }
}

function leaderFrame(header: HeaderWriter, { revision, kv }: LeaderAnswer): Uint8Array {
  const out = beginFrame(keyValueHint(kv) + HEADER_BYTES);
  header.write(out, revision);
  writeKeyValue(out, 2, kv);
  return endFrame(out);
}

function nameIn(reader: WireReader): Uint8Array {
  return bytesIn(decodeMessage(LEADER_REQUEST, reader.bytes), "name");
}

function leaderIn(request: Message): LeaderKey {
  const leader = request["leader"] as Message | undefined;
  if (leader === undefined) throw lineError('"leader" field must be provided');
  const createRevision = Number(leader["rev"] ?? 0n);
  const [name, key] = [bytesIn(leader, "name"), bytesIn(leader, "key")];
  return { name, key, createRevision, lease: leaseIn(leader) };
}
