/**
 * One list of operations under one configuration: does each operation, lets flushes, jobs, restarts
 * and power cuts happen around it by chance, and checks every answer against the model.
 */
import { must } from "../../src/base/assert.js";
import { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import type { CrashStyle, MemoryDisk } from "../sim/memory-disk.js";
import type { Configuration } from "./configurations.js";
import { Machine } from "./machine.js";
import type { Operation, Question } from "./operations.js";
import type { Shard } from "./owner.js";
import { Owner } from "./owner.js";
import { askModel, askTree } from "./shard-answers.js";

export interface RunOptions {
  readonly operations: readonly Operation[];
  readonly configuration: Configuration;
  readonly seed: number;
  /** Whether errors of the disk may end the run, or hold up what needs room. */
  readonly toleratesErrors?: boolean | undefined;
}

const STYLES: readonly CrashStyle[] = ["mixed", "loseAll", "keepAll"];

export class Run {
  readonly shards: Map<number, Shard> = new Map();
  readonly answers: string[] = [];
  readonly #options: RunOptions;
  readonly #prng: Prng;
  #disk: MemoryDisk;
  #owner: Owner | undefined;
  #boots = 0;
  /** Where the run is, for whoever reads of its failure. */
  #at = "the start";

  constructor(disk: MemoryDisk, options: RunOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#prng = new Prng(options.seed);
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  /**
   * Does all operations, closes, opens again and looks at everything. Throws where anything is not
   * as it should be; false where the disk halted or the store failed before the end. `between` runs
   * after each operation.
   */
  async all(between: () => Promise<void> = () => Promise.resolve()): Promise<boolean> {
    try {
      if (!(await this.#boot())) return false;
      for (const [at, operation] of this.#options.operations.entries()) {
        this.#at = `operation ${at} (${JSON.stringify(operation)})`;
        if (!(await this.#withRoom(() => this.#do(operation)))) return false;
        if (!(await this.#withRoom(() => this.#around(operation.shardId)))) return false;
        await between();
      }
      this.#at = "the end";
      return await this.#end();
    } catch (error) {
      if (this.#options.toleratesErrors === true && error instanceof DiskError) return false;
      if (error instanceof Error) error.message = `${this.#at}: ${error.message}`;
      throw error;
    }
  }

  /** What failed for want of room, and changed nothing, is done again when there is room. */
  async #withRoom(act: () => Promise<boolean>): Promise<boolean> {
    try {
      return await act();
    } catch (error) {
      const isFull = error instanceof DiskError && error.code === "noSpace";
      if (!isFull || this.#options.toleratesErrors !== true) throw error;
      if (this.#owner === undefined || this.#owner.failure !== undefined) return false;
      this.#disk.clearFaults();
      return act();
    }
  }

  async #end(): Promise<boolean> {
    const owner = must(this.#owner);
    if (!(await owner.settle()) || owner.failure !== undefined) return false;
    this.#check(owner);
    if (!(await owner.close())) return false;
    if (!(await this.#boot())) return false;
    return must(this.#owner).close();
  }

  async #boot(): Promise<boolean> {
    const machine = new Machine(this.#disk, this.#options.seed * 100 + ++this.#boots);
    const { store } = this.#options.configuration;
    this.#owner = undefined;
    this.#owner = await Owner.open(machine, store, this.shards);
    if (this.#owner === undefined) return false;
    this.#check(this.#owner);
    this.#owner.catchUp();
    return true;
  }

  async #do(operation: Operation): Promise<boolean> {
    const owner = must(this.#owner);
    const { shardId } = operation;
    switch (operation.kind) {
      case "create":
        owner.create(shardId);
        break;
      case "drop":
        owner.drop(shardId);
        break;
      case "change":
        owner.change(shardId, operation.change);
        break;
      case "ask":
        this.#ask(owner, shardId, operation.question);
    }
    await owner.machine.step(this.#prng, this.#options.configuration.job);
    return !this.#disk.halted && owner.failure === undefined;
  }

  #ask(owner: Owner, shardId: number, question: Question): void {
    const { model } = must(owner.shards.get(shardId));
    const revision = model.revisionOf(question);
    const expected = askModel(model, question, revision);
    const seen = askTree(owner.tree(shardId), question, revision, model.horizon);
    if (seen !== expected) throw new Error(`at ${revision}: "${seen}" instead of "${expected}"`);
    this.answers.push(seen);
  }

  /** What happens around an operation by chance; false where the run is over. */
  async #around(shardId: number): Promise<boolean> {
    const { flush, restart, powerCut, roundTrip } = this.#options.configuration;
    const prng = this.#prng;
    const owner = must(this.#owner);
    const isThere = owner.store.tree(shardId) !== undefined;
    if (isThere && prng.chance(flush)) void owner.flush(shardId);
    if (isThere && prng.chance(roundTrip)) {
      const done = await owner.roundTrip(shardId);
      if (!done && (this.#disk.halted || owner.failure !== undefined)) return false;
    }
    if (prng.chance(powerCut)) return this.#cutPower();
    if (!prng.chance(restart)) return true;
    return (await owner.close()) && owner.failure === undefined && this.#boot();
  }

  #cutPower(): Promise<boolean> {
    if (this.#disk.halted) return Promise.resolve(false);
    const style = STYLES[this.#prng.between(0, STYLES.length - 1)]!;
    this.#disk = this.#disk.crash(this.#prng.split(), style);
    return this.#boot();
  }

  #check(owner: Owner): void {
    const [damage] = owner.damage;
    if (damage !== undefined && this.#options.toleratesErrors === true) {
      throw new DiskError("io", "a table", damage);
    }
    const problem = damage?.message ?? owner.problem();
    if (problem !== undefined) throw new Error(problem);
  }
}
