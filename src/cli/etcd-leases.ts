/** The part of the gateway's backend that is about leases, by the SDK. */
import type {
  GrantAnswer,
  KeepAliveAnswer,
  LeaseBackend,
  LeasesAnswer,
  TimeToLiveAnswer,
} from "../gateway/lease-backend.js";
import type { ClientSource } from "./etcd-client-source.js";

export class SdkLeases implements LeaseBackend {
  readonly #source: ClientSource;

  constructor(source: ClientSource) {
    this.#source = source;
  }

  async grant(ttlSeconds: number, id: bigint): Promise<GrantAnswer> {
    const client = await this.#source.client();
    const granted = await client.leases.grant(ttlSeconds, id);
    const revision = this.#source.noted(granted.header);
    return { revision, id: granted.id, ttlSeconds: granted.ttlSeconds };
  }

  async revoke(id: bigint): Promise<number> {
    const client = await this.#source.client();
    return this.#source.noted((await client.leases.revoke(id)).header);
  }

  async keepAlive(id: bigint): Promise<KeepAliveAnswer> {
    const client = await this.#source.client();
    const { header, ttlSeconds } = await client.leases.keepAlive(id);
    return { revision: this.#source.noted(header), ttlSeconds };
  }

  async timeToLive(id: bigint, keys: boolean): Promise<TimeToLiveAnswer> {
    const client = await this.#source.client();
    const { header, ...state } = await client.leases.timeToLive(id, { keys });
    return { revision: this.#source.noted(header), ...state };
  }

  async list(): Promise<LeasesAnswer> {
    const client = await this.#source.client();
    const { header, ids } = await client.leases.list();
    return { revision: this.#source.noted(header), ids };
  }
}
