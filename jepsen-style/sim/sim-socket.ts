/**
 * One end of a simulated connection. What is written travels as the chunks in which it was written;
 * the bytes are handed over as they are, for nobody may change them afterwards.
 */
import { must } from "../../src/base/assert.js";
import { SOCKET_WAITING_BYTES_MAX } from "../../src/env/network.js";
import type { Socket, SocketHandlers } from "../../src/env/network.js";
import type { SimProgram } from "./program.js";
import { machineOf } from "./roads.js";
import type { DialledEnd, Road, Wires } from "./roads.js";

/** Chunks of one connection that arrive at the same time keep their order by this. */
const GAP_MS = 0.000_001;

export class SimSocket implements Socket, DialledEnd {
  readonly remoteAddress: string;
  readonly program: SimProgram;
  readonly machine: string;
  readonly peerMachine: string;
  /** The address that this end connected to; undefined for the end that accepted. */
  readonly dialled: string | undefined;
  readonly #network: Wires;
  readonly #out: Road;
  #peer: SimSocket | undefined;
  #handlers: SocketHandlers | undefined;
  #early: Uint8Array[] = [];
  #bufferedBytes = 0;
  #wantsDrain = false;
  #open = true;
  #told = false;
  #lastArrivalMs = 0;

  constructor(
    network: Wires,
    program: SimProgram,
    at: { readonly remote: string; readonly dialled: string | undefined },
  ) {
    this.#network = network;
    this.program = program;
    this.machine = program.machine;
    this.remoteAddress = at.remote;
    this.peerMachine = machineOf(at.remote);
    this.dialled = at.dialled;
    this.#out = network.road(this.machine, this.peerMachine);
  }

  join(peer: SimSocket): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  get open(): boolean {
    return this.#open;
  }

  get peerProgram(): SimProgram {
    return must(this.#peer).program;
  }

  handle(handlers: SocketHandlers): void {
    this.#handlers = handlers;
    if (!this.#open) return this.#tell(undefined);
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) handlers.data(chunk);
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#open || !this.program.alive) return true;
    const { tap } = this.#network;
    this.send(tap === undefined || this.dialled === undefined ? bytes : tap.passes(this, bytes));
    this.#wantsDrain ||= this.#bufferedBytes > SOCKET_WAITING_BYTES_MAX;
    return !this.#wantsDrain;
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#network.world.after(0, "ended", this.program, () => this.#tell(undefined));
    this.#toPeer("end", (peer) => peer.#closed());
    this.#network.closed(this);
  }

  destroy(): void {
    this.end();
  }

  /** Puts bytes on the road, whatever has been written before. */
  send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#bufferedBytes += bytes.length;
    this.#toPeer("data", (peer) => {
      this.#bufferedBytes -= bytes.length;
      this.#drain();
      this.#out.heardMs = this.#network.world.nowMs;
      peer.#receive(bytes);
    });
  }

  /** A fault of the network: both ends are told, each after a while. */
  break(): void {
    if (!this.#open) return;
    const error = new Error("connection reset");
    for (const socket of [this, must(this.#peer)]) {
      if (!socket.#open) continue;
      socket.#open = false;
      this.#network.closed(socket);
      this.#network.world.after(0.1, "reset", socket.program, () => socket.#tell(error));
    }
  }

  /** The program of this end is gone; the system tells the other end. */
  programEnded(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#toPeer("gone", (peer) => peer.#closed());
  }

  #toPeer(label: string, arrive: (peer: SimSocket) => void): void {
    const peer = must(this.#peer);
    const { world } = this.#network;
    this.#network.travel(this.#out, () => {
      const at = Math.max(
        world.nowMs + this.#network.delayMs(this.#out),
        this.#lastArrivalMs + GAP_MS,
      );
      this.#lastArrivalMs = at;
      world.after(at - world.nowMs, label, peer.program, () => arrive(peer));
    });
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#open) return;
    if (this.#handlers === undefined) this.#early.push(bytes);
    else this.#handlers.data(bytes);
  }

  #closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#network.closed(this);
    this.#tell(undefined);
  }

  #drain(): void {
    if (!this.#wantsDrain || this.#bufferedBytes > SOCKET_WAITING_BYTES_MAX / 2) return;
    this.#wantsDrain = false;
    this.#network.world.after(0, "drain", this.program, () => {
      if (this.#open) this.#handlers?.drain();
    });
  }

  #tell(error: Error | undefined): void {
    if (this.#told || this.#handlers === undefined) return;
    this.#told = true;
    this.#handlers.close(error);
  }
}
