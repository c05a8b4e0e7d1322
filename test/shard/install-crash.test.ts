/**
 * A power cut at every operation of the disk while a snapshot takes the place of tree and log. The
 * order is the replica's: files, then one manifest edit, then the log anew, then the hard state.
 * Whatever came back starts, twice: as before the snapshot or behind it, and never short of what
 * was acknowledged.
 */
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8 } from "../../src/base/bytes.js";
import { singleRun } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import type { ShardDescriptor } from "../../src/protocol/cluster.js";
import { encodeConfiguration } from "../../src/raft/configuration-codec.js";
import { closedReasonOf, openReplica } from "../../src/shard/open-replica.js";
import type { Store } from "../../src/store/store.js";
import type { CheckpointFile } from "../../src/store/tree-checkpoint.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, difference, flushedAt, openStore, replay, write } from "../store/store-bench.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

const OLD_ENTRIES = 9;
const SNAPSHOT_INDEX = 40;
const CONFIGURATION = encodeConfiguration({
  voters: [1, 2],
  outgoing: [],
  learners: [],
  learnersNext: [],
});
const SETTINGS = {
  nodeId: 1,
  electionTimeoutMs: { min: 400, max: 800 },
  heartbeatMs: 50,
  leaseMs: 150,
  quiesceAfterMs: 0,
  clockDriftRatio: 0.01,
  tickMs: 10,
  campaignRankMs: 20,
  entryCacheBytes: 0,
  flow: DEFAULT_CONFIG.flow,
};

interface Snapshot {
  readonly state: FlushedState;
  readonly files: readonly CheckpointFile[];
  readonly contents: readonly Uint8Array[];
}

function withMembers(state: FlushedState): FlushedState {
  return { ...state, configuration: CONFIGURATION };
}

async function takeSnapshot(): Promise<Snapshot> {
  const { store } = await openStore(new MemoryDisk(), { compaction: { enabled: false } });
  const tree = store.createTree(1, ALL, stateAt(0));
  for (let index = 1; index <= SNAPSHOT_INDEX; index++) {
    void write(store, tree, index);
    if (index % 15 === 0) await store.flushNow(tree, flushedAt(index));
  }
  await store.flushNow(tree, withMembers(flushedAt(SNAPSHOT_INDEX)));
  const checkpoint = await store.checkpointTree(1);
  const { state, files } = checkpoint;
  const contents = files.map(({ file }, i) => checkpoint.readChunk(i, 0, file.sizeBytes));
  checkpoint.release();
  await store.close();
  return { state, files, contents };
}

/** Resolves when what the log was given is durable, or the disk has halted. */
function committed(disk: MemoryDisk, store: Store): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (disk.halted) resolve(false);
      else setImmediate(look);
    };
    store.log.commit(() => resolve(true));
    look();
  });
}

/** Some entries, the snapshot, one entry more; tells how far it was acknowledged. */
async function work(
  disk: MemoryDisk,
  { state, files, contents }: Snapshot,
  acknowledged: (index: number) => void,
): Promise<void> {
  const { store } = await openStore(disk, { onFailure: () => undefined });
  const tree = store.createTree(1, ALL, withMembers(stateAt(0, { term: 0 })));
  store.log.saveHardState(1, 1, { term: 1, vote: 1, commitIndex: 0 });
  for (let index = 1; index <= OLD_ENTRIES; index++) void write(store, tree, index);
  if (!(await committed(disk, store))) return;
  acknowledged(OLD_ENTRIES);
  const install = store.beginInstall(1, ALL);
  contents.forEach((bytes, i) => install.writeChunk(i, 0, bytes));
  install.prepare(files);
  install.finish(state, files);
  store.log.reset(1, 1, state.index, state.term);
  store.log.saveHardState(1, 1, { term: state.term + 1, vote: 0, commitIndex: state.index });
  if (!(await committed(disk, store))) return;
  acknowledged(state.index);
  store.log.append(1, 1, singleRun("command", state.term, state.index + 1, utf8("more")));
  if (await committed(disk, store)) acknowledged(state.index + 1);
}

/** Works until the disk halts, if it does. Returns up to where it was acknowledged. */
async function attempt(disk: MemoryDisk, snapshot: Snapshot): Promise<number> {
  let acknowledged = 0;
  try {
    await work(disk, snapshot, (index) => (acknowledged = index));
  } catch (error) {
    if (!disk.halted) throw error;
  }
  return acknowledged;
}

const DESCRIPTOR = {
  shardId: 1,
  keyspaceId: 1,
  range: ALL,
  replicas: [
    { nodeId: 1, replicaId: 1, role: "voter" },
    { nodeId: 2, replicaId: 2, role: "voter" },
  ],
} as unknown as ShardDescriptor;

/** Starts from the disk; says what is wrong, or undefined. */
async function problemAtStart(disk: MemoryDisk, acknowledged: number): Promise<string | undefined> {
  const opened = await openStore(disk);
  const { store, recovered } = opened;
  const tree = store.tree(1);
  const shard = recovered.get(1);
  const damage = closedReasonOf(tree, shard, false);
  if (damage !== undefined || (tree === undefined && acknowledged === 0)) {
    await store.close();
    return damage;
  }
  const request = {
    descriptor: DESCRIPTOR,
    recovered: shard,
    filesMissing: opened.damaged.has(1),
    nowMs: 0,
    random: () => 0.5,
  };
  const { raft } = openReplica({ store }, SETTINGS, request);
  const isSnapshot = must(tree).flushed.index === SNAPSHOT_INDEX;
  const applied = isSnapshot ? SNAPSHOT_INDEX : replay(opened, 1);
  const wrong = difference(must(tree), applied);
  await new Promise<void>((resolve) => store.log.commit(resolve));
  await store.close();
  if (raft.isRefilling) return "something was lost";
  if (raft.lastIndex < acknowledged)
    return `${acknowledged} was acknowledged, not ${raft.lastIndex}`;
  if (isSnapshot && raft.commitIndex < SNAPSHOT_INDEX) return "a commit behind the snapshot";
  return wrong;
}

describe("a power cut while a snapshot is installed", () => {
  test("leaves a replica that starts, as before or behind the snapshot", async () => {
    const snapshot = await takeSnapshot();
    expect(snapshot.files.length).toBeGreaterThan(1);
    const whole = new MemoryDisk();
    expect(await attempt(whole, snapshot)).toBe(SNAPSHOT_INDEX + 1);
    const problems: string[] = [];
    const found = { before: 0, behind: 0 };
    for (let halt = 1; halt <= whole.operations; halt++) {
      const disk = new MemoryDisk();
      disk.haltAt(halt);
      const acknowledged = await attempt(disk, snapshot);
      const survivor = disk.crash(new Prng(halt), halt % 3 === 0 ? "loseAll" : "mixed");
      if (acknowledged >= SNAPSHOT_INDEX) found.behind++;
      else found.before++;
      for (const start of ["first", "second"]) {
        const problem = await problemAtStart(survivor, acknowledged);
        if (problem !== undefined) problems.push(`${start} start after ${halt}: ${problem}`);
      }
    }
    expect(problems).toEqual([]);
    expect(Math.min(found.before, found.behind)).toBeGreaterThan(0);
  });
});
