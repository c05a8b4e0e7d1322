/**
 * The connections to one address, made when they are first needed. Whoever finds none waits until
 * there is one or the attempt failed; there is one attempt at a time, and no retry in here.
 */
import type { Clock } from "../env/clock.js";
import type { Network } from "../env/network.js";
import type { Random } from "../env/random.js";
import type { Timers } from "../env/timers.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { clientHello } from "../protocol/hello-codec.js";
import type { DeadlineWheel } from "../rpc/deadline-wheel.js";
import { dialFrames } from "../rpc/handshake.js";
import { RequestClient } from "../rpc/request-client.js";

/** The part of an Env that the SDK uses. */
export interface ClientEnv {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly network: Network;
  readonly random: Random;
}

export interface LinkOptions {
  /** Empty until the first map has come. */
  readonly clusterId: () => string;
  readonly wheel: DeadlineWheel;
  readonly connections: number;
  readonly connectTimeoutMs: number;
}

/** Who waits for a connection; exactly one of the two is called, in a later turn. */
export interface LinkWaiter {
  linked(client: RequestClient): void;
  unlinked(error: KvError): void;
}

export class NodeLink {
  readonly address: string;
  readonly #env: ClientEnv;
  readonly #options: LinkOptions;
  #clients: RequestClient[] = [];
  #waiters: LinkWaiter[] = [];
  #dialling = false;
  #closed = false;
  #turn = 0;

  constructor(env: ClientEnv, address: string, options: LinkOptions) {
    this.#env = env;
    this.address = address;
    this.#options = options;
  }

  /** An open connection, each in turn; undefined where there is none. */
  client(): RequestClient | undefined {
    const clients = this.#clients;
    if (clients.length <= 1) return clients[0];
    this.#turn = (this.#turn + 1) % clients.length;
    return clients[this.#turn];
  }

  wait(waiter: LinkWaiter): void {
    this.#waiters.push(waiter);
    this.#dial();
  }

  /** The same as a promise. */
  connected(): Promise<RequestClient> {
    const client = this.client();
    if (client !== undefined) return Promise.resolve(client);
    return new Promise((resolve, reject) => this.wait({ linked: resolve, unlinked: reject }));
  }

  close(): void {
    this.#closed = true;
    const clients = this.#clients;
    this.#clients = [];
    for (const client of clients) client.connection.destroy();
  }

  #dial(): void {
    if (this.#dialling) return;
    this.#dialling = true;
    const options = this.#options;
    const dialled = dialFrames(this.#env, this.address, {
      hello: clientHello(options.clusterId()),
      timeoutMs: options.connectTimeoutMs,
      established: (connection) => {
        const client: RequestClient = new RequestClient(connection, options.wheel, () =>
          this.#lost(client),
        );
        this.#clients.push(client);
        return client;
      },
    });
    dialled.then(
      () => this.#dialled(),
      (error: unknown) => this.#failed(KvError.from(error)),
    );
  }

  #dialled(): void {
    this.#dialling = false;
    if (this.#closed) {
      this.close();
      this.#failed(notApplied("closed", "the client is closed"));
      return;
    }
    const client = this.client();
    if (client === undefined) {
      this.#failed(notApplied("unavailable", `connection to ${this.address} lost at once`));
      return;
    }
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.linked(client);
    if (this.#clients.length < this.#options.connections) this.#dial();
  }

  #failed(error: KvError): void {
    this.#dialling = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.unlinked(error);
  }

  #lost(client: RequestClient): void {
    const at = this.#clients.indexOf(client);
    if (at >= 0) this.#clients.splice(at, 1);
  }
}
