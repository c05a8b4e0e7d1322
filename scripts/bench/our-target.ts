/** Flotilla under load: one SDK client for each connection that is asked for. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ConnectOptions, Level } from "./bench-cluster.js";
import type { Done, LoadTarget } from "./load.js";

/** What is used of the SDK. */
interface SdkClient {
  put(key: Uint8Array, value: Uint8Array): Promise<unknown>;
  get(key: Uint8Array, options: { readonly level: Level }): Promise<{ readonly kv: unknown }>;
  close(): Promise<void>;
}

interface Sdk {
  connect(options: { readonly endpoints: readonly string[] }): Promise<SdkClient>;
}

export const SDK_PATH = "dist/src/client/index.js";

class OurTarget implements LoadTarget {
  readonly #clients: readonly SdkClient[];
  readonly #readOptions: { readonly level: Level };

  constructor(clients: readonly SdkClient[], level: Level) {
    this.#clients = clients;
    this.#readOptions = { level };
  }

  put(connection: number, key: Uint8Array, value: Uint8Array, done: Done): void {
    const client = this.#clients[connection % this.#clients.length]!;
    client.put(key, value).then(
      () => done(undefined),
      (error: unknown) => done(String(error)),
    );
  }

  get(connection: number, key: Uint8Array, done: Done): void {
    const client = this.#clients[connection % this.#clients.length]!;
    client.get(key, this.#readOptions).then(
      ({ kv }) => done(kv === undefined ? "the key is absent" : undefined),
      (error: unknown) => done(String(error)),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

export async function connectOurs(
  endpoints: readonly string[],
  options: ConnectOptions,
): Promise<LoadTarget> {
  const sdk = await loadSdk();
  const connecting = Array.from({ length: options.connections }, () => sdk.connect({ endpoints }));
  return new OurTarget(await Promise.all(connecting), options.level);
}

/** The built SDK, as its users get it; found at run time, for it may not have been built. */
async function loadSdk(): Promise<Sdk> {
  const path = resolve(SDK_PATH);
  if (!existsSync(path)) throw new Error(`${SDK_PATH} is missing: run "npm run build" first`);
  return (await import(pathToFileURL(path).href)) as Sdk;
}
