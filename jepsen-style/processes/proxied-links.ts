/**
 * Links that work on any machine: a TCP proxy in front of every address that a node tells others.
 * Node n1 is at 127.0.0.11: no connection that leaves 127.0.0.1 can take its ports. Whoever
 * connects is known by the address it comes from, so each pair has faults of its own in each
 * direction. A link that is cut holds what was sent, as a network does that will send it again, and
 * lets nobody know that the other side is gone; when it heals, everything arrives late. Nothing is
 * lost, doubled or reordered within a connection: TCP would not let it. What is lost on a lossy
 * link costs the time of sending it again.
 */
import net from "node:net";
import { must } from "../../src/base/assert.js";
import type { Prng } from "../../src/base/prng.js";
import { freePorts } from "../../scripts/bench/processes.js";
import { CLIENTS, LinkFaults } from "./links.js";
import type { LinkFault, Links, NodeSite, Way } from "./links.js";
import { Pipe } from "./pipe.js";

interface Target {
  readonly host: string;
  readonly port: number;
}

interface Connection {
  readonly from: string;
  readonly to: string;
  readonly near: net.Socket;
  readonly far: net.Socket;
  readonly out: Pipe;
  readonly back: Pipe;
}

const FIRST_SITE = 11;

export class ProxiedLinks implements Links {
  readonly #prng: Prng;
  readonly #servers: net.Server[] = [];
  readonly #connections = new Set<Connection>();
  /** Names by address. */
  readonly #sites = new Map<string, string>();
  readonly #faults = new LinkFaults(() => {
    for (const connection of this.#connections) this.#renew(connection);
  });

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  async settle(name: string): Promise<NodeSite> {
    const address = `127.0.0.${FIRST_SITE + this.#sites.size}`;
    this.#sites.set(address, name);
    const [client, peer] = (await freePorts(2, address)).map((port) => ({ host: address, port }));
    const advertised = {
      client: await this.serve(name, must(client)),
      peer: await this.serve(name, must(peer)),
    };
    const listens = { client: textOf(must(client)), peer: textOf(must(peer)) };
    return { address, listens, advertised, observed: listens.client, entry: [] };
  }

  /** Where `to`, which listens at `target`, can be reached over its links. */
  async serve(to: string, target: Target): Promise<string> {
    const server = net.createServer({ noDelay: true }, (near) => this.#accept(near, to, target));
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  impose(ways: readonly Way[], fault: LinkFault): () => void {
    return this.#faults.impose(ways, fault);
  }

  reset(a: string, b: string): void {
    for (const { from, to, near, far } of this.#connections) {
      if (!(from === a && to === b) && !(from === b && to === a)) continue;
      breakOff(near);
      breakOff(far);
    }
  }

  heal(): void {
    this.#faults.clear();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
  }

  #accept(near: net.Socket, to: string, target: Target): void {
    const from = this.#sites.get(near.remoteAddress ?? "") ?? CLIENTS;
    const far = net.connect({ ...target, noDelay: true });
    const prng = this.#prng.split();
    const out = new Pipe(near, far, prng);
    const back = new Pipe(far, near, prng);
    const connection: Connection = { from, to, near, far, out, back };
    this.#connections.add(connection);
    this.#renew(connection);
    const gone = (): void => {
      if (near.destroyed && far.destroyed) this.#connections.delete(connection);
    };
    near.once("close", gone);
    far.once("close", gone);
  }

  #renew({ from, to, out, back }: Connection): void {
    out.setFault(this.#faults.of(from, to));
    back.setFault(this.#faults.of(to, from));
  }
}

/** With a reset where the socket is whole; Node.js loses one that it resets while it ends. */
function breakOff(socket: net.Socket): void {
  if (socket.readyState === "open" && !socket.writableEnded) socket.resetAndDestroy();
  else socket.destroy();
}

function textOf({ host, port }: Target): string {
  return `${host}:${port}`;
}
