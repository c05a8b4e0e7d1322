/**
 * The network between simulated machines: streams of bytes that arrive whole and in order, late,
 * or not until a fault has passed, as TCP has it. Each direction between two machines is a road of
 * its own: it can be slow, blocked for a while or for ever, and what waits on it arrives in order
 * when it opens. Connections break where a fault says so, or when a program ends.
 *
 * Machines are the host parts of addresses. A connection that is refused or broken is told after
 * the time that the news takes; one to a machine without power is not told at all.
 */
import type { Prng } from "../../src/base/prng.js";
import type { Listener, Network, Socket } from "../../src/env/network.js";
import type { SimProgram } from "./program.js";
import { SimSocket } from "./sim-socket.js";
import { machineOf } from "./roads.js";
import type { DialledEnd, Road, Tap, Wires } from "./roads.js";
import type { World } from "./world.js";

interface Listening {
  readonly program: SimProgram;
  readonly accept: (socket: Socket) => void;
}

export interface NetworkSettings {
  readonly delayMsMin: number;
  readonly delayMsMean: number;
}

export class SimNetwork implements Wires {
  readonly world: World;
  tap: Tap | undefined;
  readonly #prng: Prng;
  readonly #settings: NetworkSettings;
  readonly #listeners: Map<string, Listening> = new Map();
  readonly #roads: Map<string, Road> = new Map();
  /** Machines without power: nobody is told that their connections are gone. */
  readonly dark: Set<string> = new Set();
  /** Open ends of connections. */
  readonly #sockets: Set<SimSocket> = new Set();

  constructor(world: World, prng: Prng, settings: NetworkSettings) {
    this.world = world;
    this.#prng = prng;
    this.#settings = settings;
  }

  /** The network as a program sees it. */
  portOf(program: SimProgram): Network {
    return {
      listen: (address, accept) => this.#listen(program, address, accept),
      connect: (address, timeoutMs) => this.#connect(program, address, timeoutMs),
    };
  }

  road(from: string, to: string): Road {
    const name = `${from}>${to}`;
    let road = this.#roads.get(name);
    if (road === undefined) {
      const { delayMsMin, delayMsMean } = this.#settings;
      road = {
        from,
        to,
        blocked: false,
        delayMsMin,
        delayMsMean,
        lateMs: 0,
        heardMs: 0,
        waiting: [],
      };
      this.#roads.set(name, road);
    }
    return road;
  }

  delayMs(road: Road): number {
    if (road.from === road.to) return 0.01;
    const extra = -Math.log(1 - this.#prng.fraction()) * (road.delayMsMean - road.delayMsMin);
    return road.delayMsMin + road.lateMs + extra;
  }

  block(from: string, to: string): void {
    this.road(from, to).blocked = true;
  }

  open(from: string, to: string): void {
    const road = this.road(from, to);
    if (!road.blocked) return;
    road.blocked = false;
    for (const go of road.waiting.splice(0)) go();
  }

  /** All roads among these machines are open and as fast as at the start. */
  heal(machines: readonly string[]): void {
    const { delayMsMin, delayMsMean } = this.#settings;
    for (const from of machines) {
      for (const to of machines) {
        Object.assign(this.road(from, to), { delayMsMin, delayMsMean, lateMs: 0 });
        this.open(from, to);
      }
    }
  }

  /** Breaks the connections between two machines: both sides are told. */
  reset(one: string, other: string): void {
    for (const socket of this.#sockets) {
      if (socket.machine === one && socket.peerMachine === other) socket.break();
    }
  }

  /** A machine has power again: it answers what arrives for programs of former days. */
  powerOn(machine: string): void {
    if (!this.dark.delete(machine)) return;
    for (const socket of this.#sockets) {
      if (socket.peerMachine === machine && !socket.peerProgram.alive) socket.break();
    }
  }

  /** A program ended: its connections break, and its listeners are gone. */
  programEnded(program: SimProgram): void {
    for (const [address, listening] of this.#listeners) {
      if (listening.program === program) this.#listeners.delete(address);
    }
    for (const socket of this.#sockets) {
      if (socket.program !== program) continue;
      this.#sockets.delete(socket);
      if (!this.dark.has(program.machine)) socket.programEnded();
    }
  }

  #listen(
    program: SimProgram,
    address: string,
    accept: (socket: Socket) => void,
  ): Promise<Listener> {
    if (this.#listeners.has(address)) return Promise.reject(new Error(`${address} is in use`));
    this.#listeners.set(address, { program, accept });
    return Promise.resolve({
      address,
      close: () => {
        this.#listeners.delete(address);
        return Promise.resolve();
      },
    });
  }

  #connect(program: SimProgram, address: string, timeoutMs: number): Promise<Socket> {
    const there = this.road(program.machine, machineOf(address));
    const back = this.road(machineOf(address), program.machine);
    return new Promise((resolve, reject) => {
      let waits = true;
      const settle = (run: () => void): void => {
        if (!waits) return;
        waits = false;
        timer.cancel();
        run();
      };
      const timer = program.timers.after(timeoutMs, () => {
        settle(() =>
          reject(new Error(`connecting to ${address} took longer than ${timeoutMs} ms`)),
        );
      });
      const answer = (run: () => void): void => {
        this.travel(back, () => {
          this.world.after(this.delayMs(back), "connected", program, () => settle(run));
        });
      };
      this.travel(there, () => {
        this.world.after(this.delayMs(there), "connect", undefined, () => {
          const listening = this.#listeners.get(address);
          if (listening !== undefined && waits) {
            const near = this.#pair(program, listening, address);
            answer(() => resolve(near));
          } else if (!this.dark.has(machineOf(address))) {
            answer(() => reject(new Error(`${address} refuses connections`)));
          }
        });
      });
    });
  }

  /** Goes on at once, or when the road is open. */
  travel(road: Road, go: () => void): void {
    if (road.blocked) road.waiting.push(go);
    else go();
  }

  closed(end: DialledEnd): void {
    this.#sockets.delete(end as SimSocket);
  }

  /** Both ends of a connection; the listener gets its own in an event of its own. */
  #pair(program: SimProgram, listening: Listening, address: string): SimSocket {
    const near = new SimSocket(this, program, { remote: address, dialled: address });
    const remote = `${program.machine}:1`;
    const far = new SimSocket(this, listening.program, { remote, dialled: undefined });
    near.join(far);
    this.#sockets.add(near);
    this.#sockets.add(far);
    this.world.after(0, "accept", listening.program, () => listening.accept(far));
    return near;
  }
}
