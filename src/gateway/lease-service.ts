/** etcd's Lease service, but for the keep-alive, which is a session. */
import { endFrame, beginFrame } from "./grpc-frames.js";
import type { HeaderWriter } from "./kv-responses.js";
import type { LeaseBackend } from "./lease-backend.js";
import { leaseFrame, readGrant, readLeaseId } from "./lease-messages.js";
import type { Message } from "./message-codec.js";
import type { WireReader } from "./wire.js";

export class LeaseService {
  readonly #backend: LeaseBackend;
  readonly #header: HeaderWriter;

  constructor(backend: LeaseBackend, header: HeaderWriter) {
    this.#backend = backend;
    this.#header = header;
  }

  async grant(reader: WireReader): Promise<Uint8Array> {
    const { ttlSeconds, id } = readGrant(reader);
    const answer = await this.#backend.grant(ttlSeconds, id);
    return leaseFrame(this.#header, answer.id, answer);
  }

  async revoke(reader: WireReader): Promise<Uint8Array> {
    const revision = await this.#backend.revoke(readLeaseId(reader));
    const out = beginFrame();
    this.#header.write(out, revision);
    return endFrame(out);
  }

  async timeToLive(request: Message): Promise<Message> {
    const id = (request["ID"] ?? 0n) as bigint;
    const asked = await this.#backend.timeToLive(BigInt.asUintN(64, id), request["keys"] === true);
    return {
      revision: BigInt(asked.revision),
      ID: id,
      TTL: BigInt(asked.ttlSeconds),
      grantedTTL: BigInt(asked.grantedTtlSeconds),
      keys: asked.keys,
    };
  }

  async list(): Promise<Message> {
    const { revision, ids } = await this.#backend.list();
    return { revision: BigInt(revision), leases: ids.map((ID) => ({ ID })) };
  }
}
