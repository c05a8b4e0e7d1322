/**
 * Links of a network of the run's own (own-network.ts): each node in a network namespace, all of
 * them and the harness at one bridge. A way that is cut drops its packets in silence, as a network
 * does, so connections stay half open, and new ones are never answered. It can cut ways and break
 * connections; it can make nothing slow.
 *
 * A way from a to b is cut where it begins: a's neighbour table then names, for b's address, a
 * machine that is not there. Node n1 is at 10.99.0.11, everybody else at 10.99.0.1; at 10.99.1.x
 * the same can be reached past all faults.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { assert, must } from "../../src/base/assert.js";
import { CLIENTS, LinkFaults } from "./links.js";
import type { LinkFault, Links, NodeSite, Way } from "./links.js";
import { isInside } from "./own-network.js";

/** Of the bridge, and of what each node has of it. */
const DEVICE = "links";
/** Of hardware that is not there. */
const NOBODY = 255;
const CLIENTS_NUMBER = 1;
const FIRST_NUMBER = 11;
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;

export class NamespaceLinks implements Links {
  /** By name: the last part of the address. */
  readonly #numbers = new Map<string, number>();
  /** By name: the `ip` that takes orders in its namespace. */
  readonly #tables = new Map<string, ChildProcess>();
  readonly #cut = new Set<string>();
  readonly #faults = new LinkFaults(() => this.#renew());

  constructor() {
    assert(isInside(), "what is mounted and linked here is not of the machine");
    // Everything of it goes with the namespaces, and they with the processes in them.
    execFileSync("mount", ["-t", "tmpfs", "names", "/run"]);
    execFileSync("mkdir", ["/run/netns"]);
    ip([
      "link set lo up",
      `link add name ${DEVICE} type bridge`,
      `link set ${DEVICE} address ${hardwareOf(CLIENTS_NUMBER)} up`,
      `address add ${addressOf(CLIENTS_NUMBER)}/24 dev ${DEVICE}`,
      `address add ${observedOf(CLIENTS_NUMBER)}/24 dev ${DEVICE}`,
    ]);
    this.#numbers.set(CLIENTS, CLIENTS_NUMBER);
    this.#tables.set(CLIENTS, orders([]));
  }

  settle(name: string): Promise<NodeSite> {
    const number = FIRST_NUMBER + this.#numbers.size - 1;
    const cable = `to-${name}`;
    ip([
      `netns add ${name}`,
      `link add ${cable} type veth peer name ${DEVICE} netns ${name}`,
      `link set ${cable} master ${DEVICE} up`,
    ]);
    ip(
      [
        "link set lo up",
        `link set ${DEVICE} address ${hardwareOf(number)} up`,
        `address add ${addressOf(number)}/24 dev ${DEVICE}`,
        `address add ${observedOf(number)}/24 dev ${DEVICE}`,
      ],
      ["-n", name],
    );
    this.#numbers.set(name, number);
    this.#tables.set(name, orders(["-n", name]));
    const address = addressOf(number);
    const peer = `${address}:${PEER_PORT}`;
    return Promise.resolve({
      address,
      listens: { client: `0.0.0.0:${CLIENT_PORT}`, peer },
      advertised: { client: `${address}:${CLIENT_PORT}`, peer },
      observed: `${observedOf(number)}:${CLIENT_PORT}`,
      entry: ["nsenter", `--net=/run/netns/${name}`],
    });
  }

  impose(ways: readonly Way[], fault: LinkFault): () => void {
    assert(fault.cut === true, "links of namespaces can be cut, and nothing else");
    return this.#faults.impose(ways, fault);
  }

  reset(a: string, b: string): void {
    const [at, other] = a === CLIENTS ? [b, a] : [a, b];
    if (!this.#tables.has(at) || !this.#tables.has(other)) return;
    const words = ["-N", at, "-K", "-t", "dst", addressOf(must(this.#numbers.get(other)))];
    spawn("ss", words, { stdio: ["ignore", "ignore", "inherit"] });
  }

  heal(): void {
    this.#faults.clear();
  }

  close(): void {
    for (const table of this.#tables.values()) table.stdin?.end();
  }

  /** Orders what is not as it should be. */
  #renew(): void {
    for (const [from, table] of this.#tables) {
      const lines = [...this.#numbers]
        .filter(([to]) => to !== from)
        .flatMap(([to, number]) => this.#order(from, to, number));
      if (lines.length > 0) table.stdin?.write(lines.join(""));
    }
  }

  #order(from: string, to: string, number: number): readonly string[] {
    const way = `${from}>${to}`;
    const isCut = this.#faults.of(from, to)?.cut === true;
    if (isCut === this.#cut.has(way)) return [];
    if (isCut) this.#cut.add(way);
    else this.#cut.delete(way);
    const hardware = hardwareOf(isCut ? NOBODY : number);
    return [`neigh replace ${addressOf(number)} lladdr ${hardware} dev ${DEVICE} nud permanent\n`];
  }
}

function addressOf(number: number): string {
  return `10.99.0.${number}`;
}

function observedOf(number: number): string {
  return `10.99.1.${number}`;
}

function hardwareOf(number: number): string {
  return `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`;
}

function ip(lines: readonly string[], options: readonly string[] = []): void {
  execFileSync("ip", [...options, "-batch", "-"], { input: lines.join("\n") });
}

/** Takes a line at a time for as long as the harness lives; an error of it is one here. */
function orders(options: readonly string[]): ChildProcess {
  const child = spawn("ip", [...options, "-batch", "-"], { stdio: ["pipe", "ignore", "inherit"] });
  child.once("exit", (code) => {
    if (code !== 0) throw new Error(`ip ended with ${code}: links are not as ordered`);
  });
  return child;
}
