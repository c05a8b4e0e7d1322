/** The store as the clients of a run reach it: by the SDK, or by etcd's API. */
import { REQUEST_SIZE_BYTES_BOUND } from "../../src/base/limits.js";
import { connect } from "../../src/client/index.js";
import type { ConnectStore } from "./actors.js";
import { EtcdStore } from "./etcd-store.js";
import { grpcTransport } from "./grpc-transport.js";
import { jsonTransport } from "./json-transport.js";
import type { Api } from "./settings.js";

/** Short enough that a client is not held up by one fault for long. */
const REQUEST_TIMEOUT_MS = 3000;

export function connectorOf(api: Api): ConnectStore {
  switch (api) {
    case "sdk":
      return (endpoints) =>
        connect({
          endpoints,
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
          // The nodes decide what is too large, not the client.
          requestSizeBytesMax: REQUEST_SIZE_BYTES_BOUND,
        });
    case "json":
      return (endpoints) =>
        Promise.resolve(new EtcdStore(endpoints, jsonTransport(REQUEST_TIMEOUT_MS)));
    case "grpc":
      return (endpoints) =>
        Promise.resolve(new EtcdStore(endpoints, grpcTransport(REQUEST_TIMEOUT_MS)));
  }
}
