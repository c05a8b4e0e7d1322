/** What connections and the network between simulated machines share. */
import type { SimProgram } from "./program.js";
import type { World } from "./world.js";

/** One direction between two machines. */
export interface Road {
  readonly from: string;
  readonly to: string;
  blocked: boolean;
  /** Least and mean delay of what travels; exponential beyond the least. */
  delayMsMin: number;
  delayMsMean: number;
  /** What a fault adds to it. */
  lateMs: number;
  /** When something last arrived. */
  heardMs: number;
  /** What waits for the road to open, in order. */
  readonly waiting: (() => void)[];
}

/** From one machine to another. */
export interface Way {
  readonly from: string;
  readonly to: string;
}

/** The ways from each of these to each of those. */
export function across(from: readonly string[], to: readonly string[]): readonly Way[] {
  return from.flatMap((one) => to.map((other) => ({ from: one, to: other })));
}

/** Who may look at, and change, what travels to another node. */
export interface Tap {
  /** A chunk that was written to a connection by the end that opened it; returns what travels. */
  passes(end: DialledEnd, bytes: Uint8Array): Uint8Array;
}

/** The end of a connection that opened it. */
export interface DialledEnd {
  readonly program: SimProgram;
  readonly peerProgram: SimProgram;
  readonly machine: string;
  /** The address that it opened the connection to; undefined for the other end. */
  readonly dialled: string | undefined;
  readonly open: boolean;
  /** Puts bytes on the road, whatever has been written before. */
  send(bytes: Uint8Array): void;
}

/** What a connection needs of the network. */
export interface Wires {
  readonly world: World;
  readonly tap: Tap | undefined;
  road(from: string, to: string): Road;
  /** Goes on at once, or when the road is open. */
  travel(road: Road, go: () => void): void;
  delayMs(road: Road): number;
  /** An end is open no more. */
  closed(end: DialledEnd): void;
}

/** The machine that an address names. */
export function machineOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}
