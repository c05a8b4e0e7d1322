/**
 * The links between the nodes, and between clients and nodes, as nemeses see them: faults hold for
 * ways, from whom to whom, several at once. Two kinds: proxied-links.ts, which can do everything on
 * any machine, and namespace-links.ts, where packets are dropped as a network drops them.
 */

/** From whom to whom. */
export type Way = readonly [string, string];

/** Everybody who is no node. */
export const CLIENTS = "clients";

export const LINK_KINDS = ["proxies", "namespaces"] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

/** What holds for what goes one way over one link. */
export interface LinkFault {
  readonly cut?: boolean;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Of what is sent: that it has to be sent again. */
  readonly loss?: number;
  readonly bytesPerSecond?: number;
}

interface Ports {
  readonly client: string;
  readonly peer: string;
}

/** Where a node lives. */
export interface NodeSite {
  /** Where its connections come from. */
  readonly address: string;
  readonly listens: Ports;
  /** What others are told: over the links. */
  readonly advertised: Ports;
  /** For the harness's own eyes, whatever the links do. */
  readonly observed: string;
  /** The words by which a command is started there; empty where it is started as any other. */
  readonly entry: readonly string[];
}

export interface Links {
  /** Gives a node its place. */
  settle(name: string): Promise<NodeSite>;
  /** Adds to what holds for these ways; gives what takes it away again, once or often. */
  impose(ways: readonly Way[], fault: LinkFault): () => void;
  /** Breaks the connections between two, whoever opened them; both sides are told. */
  reset(a: string, b: string): void;
  /** Takes away all that holds. */
  heal(): void;
  close(): void;
}

/** What holds for which way: the book that both kinds keep. */
export class LinkFaults {
  /** By way, all that hold at once. */
  readonly #faults = new Map<string, readonly LinkFault[]>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  impose(ways: readonly Way[], fault: LinkFault): () => void {
    // Its own, also where an equal one holds.
    const own = { ...fault };
    this.#change(ways, (faults) => [...faults, own]);
    return () => this.#change(ways, (faults) => faults.filter((each) => each !== own));
  }

  of(from: string, to: string): LinkFault | undefined {
    return together(this.#faults.get(wayOf(from, to)) ?? []);
  }

  clear(): void {
    this.#faults.clear();
    this.#changed();
  }

  #change(
    ways: readonly Way[],
    change: (faults: readonly LinkFault[]) => readonly LinkFault[],
  ): void {
    for (const [from, to] of ways) {
      const name = wayOf(from, to);
      this.#faults.set(name, change(this.#faults.get(name) ?? []));
    }
    this.#changed();
  }
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
