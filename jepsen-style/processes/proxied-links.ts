/**
 * The links between the nodes, and between clients and nodes: a TCP proxy in front of every address
 * that a node tells others. Whoever connects is known by the address it comes from, so each pair
 * has faults of its own in each direction. A link that is cut holds what was sent, as a network
 * does that will send it again, and lets nobody know that the other side is gone; when it heals,
 * everything arrives late. Nothing is lost, doubled or reordered within a connection: TCP would not
 * let it. What is lost on a lossy link costs the time of sending it again.
 */
import net from "node:net";
import type { Prng } from "../../src/base/prng.js";
import { Pipe } from "./pipe.js";
import type { LinkFault } from "./pipe.js";

/** From whom to whom. */
export type Way = readonly [string, string];

/** Everybody who is no node. */
export const CLIENTS = "clients";

interface Connection {
  readonly from: string;
  readonly to: string;
  readonly near: net.Socket;
  readonly far: net.Socket;
  readonly out: Pipe;
  readonly back: Pipe;
}

export class Links {
  readonly #prng: Prng;
  readonly #siteOf: (address: string) => string | undefined;
  readonly #servers: net.Server[] = [];
  readonly #connections = new Set<Connection>();
  /** By way, all that hold at once. */
  readonly #faults = new Map<string, readonly LinkFault[]>();

  constructor(prng: Prng, siteOf: (address: string) => string | undefined) {
    this.#prng = prng;
    this.#siteOf = siteOf;
  }

  /** Where `to`, which listens at `target`, can be reached over its links. */
  async serve(
    to: string,
    target: { readonly host: string; readonly port: number },
  ): Promise<string> {
    const server = net.createServer({ noDelay: true }, (near) => this.#accept(near, to, target));
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  /** Adds to what holds for these ways; gives what takes it away again, once or often. */
  impose(ways: readonly Way[], fault: LinkFault): () => void {
    // Its own, also where an equal one holds.
    const own = { ...fault };
    this.#change(ways, (faults) => [...faults, own]);
    return () => this.#change(ways, (faults) => faults.filter((each) => each !== own));
  }

  #change(
    ways: readonly Way[],
    change: (faults: readonly LinkFault[]) => readonly LinkFault[],
  ): void {
    for (const [from, to] of ways) {
      const name = wayOf(from, to);
      this.#faults.set(name, change(this.#faults.get(name) ?? []));
    }
    for (const connection of this.#connections) this.#renew(connection);
  }

  /** Breaks the connections between two, whoever opened them; both sides are told. */
  reset(a: string, b: string): void {
    for (const { from, to, near, far } of this.#connections) {
      if (!(from === a && to === b) && !(from === b && to === a)) continue;
      breakOff(near);
      breakOff(far);
    }
  }

  heal(): void {
    this.#faults.clear();
    for (const connection of this.#connections) this.#renew(connection);
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
  }

  #accept(
    near: net.Socket,
    to: string,
    target: { readonly host: string; readonly port: number },
  ): void {
    const from = this.#siteOf(near.remoteAddress ?? "") ?? CLIENTS;
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
    out.setFault(together(this.#faults.get(wayOf(from, to)) ?? []));
    back.setFault(together(this.#faults.get(wayOf(to, from)) ?? []));
  }
}

/** With a reset where the socket is whole; Node.js loses one that it resets while it ends. */
function breakOff(socket: net.Socket): void {
  if (socket.readyState === "open" && !socket.writableEnded) socket.resetAndDestroy();
  else socket.destroy();
}

/** The worst of each kind. */
function together(faults: readonly LinkFault[]): LinkFault | undefined {
  const [first, ...others] = faults;
  if (first === undefined || others.length === 0) return first;
  const numbers = (of: (fault: LinkFault) => number | undefined): readonly number[] =>
    faults.map(of).filter((value) => value !== undefined);
  const rates = numbers(({ bytesPerSecond }) => bytesPerSecond);
  return {
    cut: faults.some(({ cut }) => cut === true),
    delayMs: Math.max(0, ...numbers(({ delayMs }) => delayMs)),
    jitterMs: Math.max(0, ...numbers(({ jitterMs }) => jitterMs)),
    loss: Math.max(0, ...numbers(({ loss }) => loss)),
    bytesPerSecond: rates.length === 0 ? 0 : Math.min(...rates),
  };
}

function wayOf(from: string, to: string): string {
  return `${from}>${to}`;
}
