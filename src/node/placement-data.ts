/**
 * The placement group's data on this node: the state as the replica has applied it, and changes of
 * it, one after the other, each written only if nothing was decided since it was decided.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { assert } from "../base/assert.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { PlacementDecision, PlacementStep } from "../placement/decision.js";
import { COUNTERS_KEY, decodeState } from "../placement/records.js";
import type { PlacementRecord, PlacementState } from "../placement/records.js";
import { SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import { putOf, rangeOf } from "../protocol/operations.js";
import type { RangeOperation, RangeResult, Transaction } from "../protocol/operations.js";
import { keyspaceRange } from "../route/stored-key.js";
import type { Replica } from "../shard/replica.js";
import { readApplied, transact } from "./internal-requests.js";

const COMMAND_TRIES = 5;
const PREFIX_BYTES = 4;

export class PlacementData {
  readonly #replica: Replica;
  readonly #changed: (state: PlacementState) => void;
  #state: PlacementState = decodeState([], 0);
  #revision = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(replica: Replica, changed: (state: PlacementState) => void) {
    this.#replica = replica;
    this.#changed = changed;
  }

  get state(): PlacementState {
    return this.#state;
  }

  /** Called after the placement replica applied something. */
  applied(): void {
    const { machine } = this.#replica;
    if (machine.revision === this.#revision) return;
    let records: readonly PlacementRecord[];
    try {
      records = this.#readRecords();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      // The replica knows; until it is refilled what is known stays.
      return;
    }
    this.#revision = machine.revision;
    this.#state = decodeState(records, machine.revision);
    this.#changed(this.#state);
  }

  /** Decides and writes, one command after the other; rejects with what was refused. */
  change(decide: (state: PlacementState) => PlacementDecision): Promise<void> {
    const run = this.#tail.then(() => this.#decideAndWrite(decide));
    // The next command does not care how this one ended; whoever asked for it does.
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** All records, page by page; nothing is applied in between. */
  #readRecords(): PlacementRecord[] {
    const { start, end } = keyspaceRange(SYSTEM_KEYSPACE_ID);
    const records: PlacementRecord[] = [];
    let from: Uint8Array | undefined = start;
    while (from !== undefined) {
      const page: RangeResult = this.#read(rangeOf(from, end, { skipCount: true }));
      for (const kv of page.kvs) records.push({ key: utf8Text(kv.key), value: kv.value });
      const last = records[records.length - 1];
      from = page.more && last !== undefined ? systemKey(`${last.key}\0`) : undefined;
    }
    return records;
  }

  #read(operation: RangeOperation): RangeResult {
    const transaction = { compares: [], success: [operation], failure: [] };
    try {
      const first = readApplied(this.#replica, transaction).results[0];
      assert(first?.kind === "range", "a range is answered by a range");
      return first;
    } catch (error) {
      if (error instanceof CorruptionError) this.#replica.damaged(error);
      throw error;
    }
  }

  async #decideAndWrite(decide: (state: PlacementState) => PlacementDecision): Promise<void> {
    for (let i = 0; i < COMMAND_TRIES; i++) {
      const replica = this.#replica;
      if (!replica.leads) throw replica.notLeading();
      this.applied();
      const decision = decide(this.#state);
      if (decision.kind === "nothing") return;
      if (decision.kind === "refused") throw decision.error;
      if (await this.#write(decision.steps)) return;
    }
    throw notApplied("unavailable", "placement is being changed by others; try again");
  }

  /** Writes step after step; false where somebody else decided something before the last. */
  async #write(steps: readonly PlacementStep[]): Promise<boolean> {
    let revision = this.#countersRevision();
    for (const step of steps) {
      const answer = await transact(this.#replica, guarded(step, revision));
      this.applied();
      if (!answer.result.succeeded) return false;
      ({ revision } = answer);
    }
    return true;
  }

  /** Mod revision of the record that every decision rewrites; 0 before the first. */
  #countersRevision(): number {
    return this.#read(rangeOf(systemKey(COUNTERS_KEY))).kvs[0]?.modRevision ?? 0;
  }
}

/** The stored key of a record. */
export function systemKey(key: string): Uint8Array {
  const text = utf8(key);
  const stored = new Uint8Array(PREFIX_BYTES + text.length);
  stored.set(text, PREFIX_BYTES);
  return stored;
}

/** The records in one transaction that holds only if nothing was decided since `revision`. */
function guarded(records: readonly PlacementRecord[], revision: number): Transaction {
  const success = records.map(({ key, value }) => putOf(systemKey(key), value));
  const compare = {
    key: systemKey(COUNTERS_KEY),
    rangeEnd: undefined,
    result: "equal" as const,
    target: { kind: "mod" as const, value: revision },
  };
  return { compares: [compare], success, failure: [] };
}
