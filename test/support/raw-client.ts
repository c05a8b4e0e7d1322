/** A client that checks nothing before it sends: for what a server must refuse by itself. */
import { createNodeEnv } from "../../src/env/node/node-env.js";
import type { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { clientHello } from "../../src/protocol/hello-codec.js";
import type { Hello } from "../../src/protocol/hello-codec.js";
import { DeadlineWheel } from "../../src/rpc/deadline-wheel.js";
import { dialFrames } from "../../src/rpc/handshake.js";
import { RequestClient } from "../../src/rpc/request-client.js";

const TIMEOUT_MS = 5000;

export class RawClient {
  readonly #client: RequestClient;

  private constructor(client: RequestClient) {
    this.#client = client;
  }

  /** `hello`: what it says otherwise than clients do. */
  static async dial(
    address: string,
    clusterId = "",
    hello: Partial<Hello> = {},
  ): Promise<RawClient> {
    const env = createNodeEnv();
    const wheel = new DeadlineWheel(env.clock, env.timers);
    let client: RequestClient | undefined;
    await dialFrames(env, address, {
      hello: { ...clientHello(clusterId), ...hello },
      timeoutMs: TIMEOUT_MS,
      established: (connection) => {
        client = new RequestClient(connection, wheel, () => undefined);
        return client;
      },
    });
    return new RawClient(client!);
  }

  /** Resolves when the body of the answer was read; rejects with its KvError. */
  request(
    type: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => void = () => undefined,
  ): Promise<void> {
    return this.#client.request(type, encode, decode, TIMEOUT_MS);
  }

  close(): void {
    this.#client.connection.destroy();
  }
}
