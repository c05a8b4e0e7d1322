/**
 * Where the parts of the gateway's backend have their client from, one of the node's own, and leave
 * what its answers said: headers of later answers, and where watches begin, go by that.
 */
import { connectBy } from "../client/client.js";
import type { Client } from "../client/client.js";
import type { ClientEnv } from "../client/node-link.js";
import type { Origin } from "../gateway/backend.js";
import type { ResponseHeader } from "../protocol/key-value.js";

export interface BackendNode {
  /** Where this node serves clients. */
  readonly address: string;
  readonly nodeId: number;
  readonly clusterId: bigint;
  readonly requestSizeBytesMax: number;
  /** Whether it is a member that learns, as far as it knows. */
  isLearner(): boolean;
}

export class ClientSource {
  readonly #env: ClientEnv;
  readonly #node: BackendNode;
  #origin: Origin;
  #newestRevision = 0;
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;

  constructor(env: ClientEnv, node: BackendNode) {
    this.#env = env;
    this.#node = node;
    const { clusterId, nodeId } = node;
    this.#origin = { clusterId, memberId: BigInt(nodeId), raftTerm: 0 };
  }

  get origin(): Origin {
    return this.#origin;
  }

  /** Of all that answers have told. */
  get newestRevision(): number {
    return this.#newestRevision;
  }

  /** The client, for those who would rather not wait a turn where it is there. */
  get connected(): Client | undefined {
    return this.#client;
  }

  /** The client, which is connected when it is first wanted. */
  client(): Promise<Client> {
    this.#connecting ??= connectBy(this.#env, {
      endpoints: [this.#node.address],
      nearNodeId: this.#node.nodeId,
      requestSizeBytesMax: this.#node.requestSizeBytesMax,
    }).then(
      (client) => (this.#client = client),
      (error: unknown) => {
        this.#connecting = undefined;
        throw error;
      },
    );
    return this.#connecting;
  }

  /** Gives the revision. */
  noted(header: ResponseHeader): number {
    this.noteTerm(header.raftTerm);
    if (header.revision > this.#newestRevision) this.#newestRevision = header.revision;
    return header.revision;
  }

  noteTerm(raftTerm: number): void {
    if (raftTerm > this.#origin.raftTerm) this.#origin = { ...this.#origin, raftTerm };
  }

  async close(): Promise<void> {
    const client = await this.#connecting?.catch(() => undefined);
    await client?.close();
  }
}
