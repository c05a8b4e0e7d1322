/**
 * Whoever runs the simulated cluster: changes replicas, and replaces a node whose disk is gone. A
 * program of its own that uses the SDK; what it is refused it asks again, as long as it may.
 */
import type { Prng } from "../../src/base/prng.js";
import type { Client } from "../../src/client/client.js";
import { KvError } from "../../src/protocol/errors.js";
import type { ReplicaAction } from "../../src/protocol/admin-messages.js";
import type { SimCluster, Machine } from "./cluster.js";
import { connectProgram } from "./connect.js";
import type { SimNetwork } from "./network.js";
import { SimProgram } from "./program.js";
import type { ProgramOwner } from "./program.js";
import { drawProgramSettings } from "./settings.js";
import type { Settings } from "./settings.js";

export interface OperatorParts {
  readonly network: SimNetwork;
  readonly cluster: SimCluster;
  readonly settings: Settings;
  readonly prng: Prng;
  readonly failed: (name: string, error: unknown) => void;
}

const NAME = "operator";
const PAUSE_MS = 200;

export class SimOperator implements ProgramOwner {
  readonly #parts: OperatorParts;
  readonly #program: SimProgram;
  #client: Promise<Client> | undefined;
  #over = false;
  #underWay = 0;
  #changesUnderWay = 0;

  constructor(parts: OperatorParts) {
    const { network, settings, prng } = parts;
    this.#parts = parts;
    this.#program = new SimProgram(network.world, this, {
      name: NAME,
      machine: NAME,
      prng: prng.split(),
      settings: drawProgramSettings(settings, prng.split()),
    });
  }

  /** Whether something that was asked for may still be on its way. */
  get busy(): boolean {
    return this.#underWay > 0;
  }

  /** Whether that may be a change of replicas, which can need any node. */
  get changesReplicas(): boolean {
    return this.#changesUnderWay > 0;
  }

  halted(): boolean {
    return false;
  }

  threw(program: SimProgram, error: unknown): void {
    this.#parts.failed(program.name, error);
  }

  /** Nothing is begun or asked again any more. */
  end(): void {
    this.#over = true;
    this.#program.kill();
    this.#parts.network.programEnded(this.#program);
  }

  /** Takes the next step for some replica of some shard: add, promote or remove. Once. */
  changeReplica(shardDraw: number, nodeDraw: number): void {
    this.#changesUnderWay++;
    const over = (): void => {
      this.#changesUnderWay--;
    };
    this.#do(async (client) => {
      const { clusterMap } = await client.admin.map();
      const shard = clusterMap.shards[Math.floor(shardDraw * clusterMap.shards.length)];
      const node = clusterMap.nodes[Math.floor(nodeDraw * clusterMap.nodes.length)];
      if (shard === undefined || node === undefined) return;
      const held = shard.replicas.find(({ nodeId }) => nodeId === node.nodeId);
      const action: ReplicaAction =
        held === undefined ? "add" : held.role === "voter" ? "remove" : "promote";
      const { shardId } = shard;
      await client.admin.changeReplica({ shardId, action, nodeId: node.nodeId });
    }, over);
  }

  /** A machine has a new disk: the node it had leaves, and a new one of its name joins. */
  replace(machine: Machine): void {
    this.#do((client) => this.#replace(client, machine), undefined);
  }

  async #replace(client: Client, machine: Machine): Promise<void> {
    const { cluster } = this.#parts;
    const { name, nodeId: lost } = machine;
    const peerAddress = cluster.peerAddressOf(machine);
    for (;;) {
      try {
        const known = (await client.admin.members()).find((each) => each.name === name);
        if (known !== undefined && known.nodeId !== lost) break;
        if (known === undefined)
          await client.admin.addMember({ name, peerAddress, learner: false });
        else await client.admin.removeMember(lost);
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
      }
      await this.#pause();
    }
    this.#parts.network.world.after(0, "replaced", undefined, () => {
      if (!this.#over) cluster.replaced(machine);
    });
  }

  #do(task: (client: Client) => Promise<void>, over: (() => void) | undefined): void {
    const done = (): void => {
      this.#underWay--;
      over?.();
    };
    this.#parts.network.world.after(0, "operator", this.#program, () => {
      this.#client ??= this.#connect();
      this.#underWay++;
      this.#client.then(task).then(done, (error: unknown) => {
        // He may be refused. Where he hears nothing, nobody knows when it is over.
        if (!(error instanceof KvError)) this.#program.threw(error);
        else if (error.outcome === "notApplied") done();
      });
    });
  }

  #connect(): Promise<Client> {
    const { cluster, network, settings } = this.#parts;
    const { endpoints } = cluster;
    const { requestTimeoutMs } = settings.load;
    const options = { endpoints, requestTimeoutMs };
    return connectProgram(this.#program, network, options, () => this.#pause());
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#program.timers.after(PAUSE_MS, resolve);
    });
  }
}
