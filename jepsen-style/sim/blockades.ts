/** Roads that faults block: one that several block is open again when the last lets go of it. */
import type { SimNetwork } from "./network.js";
import { across } from "./roads.js";
import type { Way } from "./roads.js";

export class Blockades {
  readonly #network: SimNetwork;
  readonly #counts: Map<string, number> = new Map();

  constructor(network: SimNetwork) {
    this.#network = network;
  }

  block({ from, to }: Way): void {
    if (from === to) return;
    this.#add(from, to, 1);
    this.#network.block(from, to);
  }

  open({ from, to }: Way): void {
    if (from === to) return;
    if (this.#add(from, to, -1) === 0) this.#network.open(from, to);
  }

  #add(from: string, to: string, count: number): number {
    const name = `${from}>${to}`;
    const left = (this.#counts.get(name) ?? 0) + count;
    this.#counts.set(name, left);
    return left;
  }
}

/** The roads from one side to the other, and back unless it is one way. */
export function waysAcross(
  { inside, outside }: { readonly inside: readonly string[]; readonly outside: readonly string[] },
  oneWay: boolean,
): readonly Way[] {
  const there = across(inside, outside);
  return oneWay ? there : [...there, ...across(outside, inside)];
}
