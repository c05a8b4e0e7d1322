/**
 * One etcd and one node of ours, started for a comparison with their data in memory where that is
 * possible, and how each is asked: by gRPC on one connection, by JSON on another.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcClient } from "../grpc-client.js";
import type { GrpcStream } from "../grpc-client.js";
import { must } from "../../../src/base/assert.js";
import { utf8Text } from "../../../src/base/bytes.js";
import type { Message } from "../../../src/gateway/message-codec.js";
import { startEtcd } from "../etcd-cluster.js";
import { startOurs } from "../our-cluster.js";
import { Processes } from "../processes.js";

export interface GrpcReply {
  readonly status: number;
  readonly message: string;
  readonly response: Message | undefined;
}

export interface JsonReply {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Data that lives no longer than a comparison need not be on a disk. */
const MEMORY = "/dev/shm";

export class Side {
  readonly address: string;
  readonly #grpc: GrpcClient;
  readonly #agent: http.Agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(address: string) {
    this.address = address;
    this.#grpc = new GrpcClient(address);
  }

  /** `service` is such as KV/Range; `name` that of the messages. */
  grpc(service: string, name: string, frame: Uint8Array): Promise<GrpcReply> {
    return this.#grpc.raw(`/etcdserverpb.${service}`, name, frame);
  }

  json(path: string, body: string): Promise<JsonReply> {
    return new Promise((resolve, reject) => {
      const url = `http://${this.address}/v3${path}`;
      const request = http.request(url, { method: "POST", agent: this.#agent }, (response) => {
        const chunks: Uint8Array[] = [];
        response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const status = must(response.statusCode);
          const contentType = response.headers["content-type"] ?? "";
          resolve({ status, contentType, text: utf8Text(Buffer.concat(chunks)) });
        });
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  watch(): GrpcStream {
    return this.#grpc.stream("/etcdserverpb.Watch/Watch", "Watch");
  }

  close(): void {
    this.#grpc.close();
    this.#agent.destroy();
  }
}

export interface Pair {
  readonly theirs: Side;
  readonly ours: Side;
  /** Throws what is known of a server that has ended by itself. */
  requireAlive(): void;
  close(): Promise<void>;
}

export async function startPair(etcd: string): Promise<Pair> {
  const parent = existsSync(MEMORY) ? MEMORY : tmpdir();
  const directory = mkdtempSync(join(parent, "flotilla-differential-"));
  const processes = new Processes();
  const clean = async (): Promise<void> => {
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const options = { command: etcd, directory, members: "all", nodes: 1 } as const;
    const theirs = await startEtcd(processes, options);
    const ours = await startOurs(processes, { directory, api: "etcd", members: "all", nodes: 1 });
    const sides = [theirs, ours].map(({ addresses }) => new Side(must(addresses[0])));
    return {
      theirs: sides[0]!,
      ours: sides[1]!,
      requireAlive: () => processes.requireAlive(),
      close: async () => {
        for (const side of sides) side.close();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}
