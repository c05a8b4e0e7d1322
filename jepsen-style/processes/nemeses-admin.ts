/**
 * What an operator does to a node's files while it serves: flush and merge all of it, take a
 * snapshot by etcd's API, back up the cluster. Each must end well, or be refused in words; then a
 * snapshot or a backup must be whole.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { backupCluster } from "../../src/cli/cluster-backup.js";
import { checkBackups } from "../../src/cli/backup-check.js";
import { CliError } from "../../src/cli/failure.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeDisk } from "../../src/env/node/node-disk.js";
import { inlineJobs } from "../../src/env/jobs.js";
import { KvError } from "../../src/protocol/errors.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { StoreJob } from "../../src/store/jobs.js";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { Cluster } from "./cluster.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled } from "./nemesis.js";

/** After the fault's time; other faults may still be on at first. */
const PATIENCE_MS = 90_000;
const DEFRAGMENT_TIMEOUT_MS = 30_000;
const GRPC_OK = 0;
/** The connection ended before the call did. */
const NO_STATUS = -1;
/** unknown, internal, data loss: no words of somebody who refuses. */
const BROKEN_STATUSES: readonly number[] = [2, 13, 15];

/** What it came to: a text, or what must not be. */
type Outcome = { readonly text: string; readonly isWrong: boolean };

const well = (text: string): Outcome => ({ text, isWrong: false });
const wrong = (text: string): Outcome => ({ text, isWrong: true });

async function defragment(cluster: Cluster, name: string): Promise<Outcome> {
  const { client } = cluster.advertised(name);
  await cluster.observer.admin.defragment(client, DEFRAGMENT_TIMEOUT_MS);
  return well("done");
}

/** Its last 32 bytes are the hash of what comes before them. */
async function snapshot(cluster: Cluster, name: string): Promise<Outcome> {
  const client = new GrpcClient(cluster.advertised(name).client);
  try {
    const stream = client.stream("/etcdserverpb.Maintenance/Snapshot", "Snapshot");
    stream.send({});
    stream.end();
    const blobs = (await stream.rest()).map((next) => next["blob"] as Uint8Array);
    const { status, message } = await stream.ended;
    if (status === NO_STATUS) return well("the connection broke");
    if (status !== GRPC_OK) {
      const isWrong = BROKEN_STATUSES.includes(status) || message === "";
      return { text: `refused: ${status} ${message}`, isWrong };
    }
    return judgeSnapshot(Buffer.concat(blobs));
  } finally {
    client.close();
  }
}

export function judgeSnapshot(bytes: Uint8Array): Outcome {
  const hash = createHash("sha256").update(bytes.subarray(0, -32)).digest();
  if (bytes.length <= 32 || hash.compare(bytes.subarray(-32)) !== 0) {
    return wrong(`a snapshot of ${bytes.length} bytes ended without an error and is not whole`);
  }
  return well(`${bytes.length} bytes`);
}

/** All into one directory: later ones share what earlier ones have. */
async function backup(cluster: Cluster): Promise<Outcome> {
  const directory = join(cluster.directory, "backups");
  const report = await backupCluster({
    env: { disk: nodeDisk, clock: nodeClock },
    admin: cluster.observer.admin,
    directory,
    signal: new AbortController().signal,
    copied: () => undefined,
  });
  const jobs = inlineJobs((job) => runStoreJob(nodeDisk, job as StoreJob));
  const { findings } = await checkBackups({ disk: nodeDisk, jobs }, directory);
  if (findings.length > 0) return wrong(`backup ${report.number}: ${JSON.stringify(findings)}`);
  return well(`backup ${report.number}, ${report.copiedTables} of ${report.tables} tables new`);
}

/** Words of somebody who refuses, or of the end of a connection; anything else is wrong. */
export function refusalOf(error: unknown): Outcome {
  if (error instanceof CliError) return well(`refused: ${error.message}`);
  const { code, message } = KvError.from(error);
  return { text: `refused: ${code} ${message}`, isWrong: code === "internal" || message === "" };
}

const TASKS = { defragment, snapshot, backup } as const;
type Task = keyof typeof TASKS;

function strike({ cluster, prng, blame }: Scene): Fault {
  const task = shuffled(Object.keys(TASKS) as Task[], prng)[0]!;
  const name = shuffled(cluster.names, prng)[0]!;
  const text = task === "backup" ? task : `${task} ${name}`;
  const startedMs = performance.now();
  const outcome = TASKS[task](cluster, name).catch(refusalOf);
  const heal = async (): Promise<string> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Outcome>((resolve) => {
      const told = wrong(`neither done nor refused in ${PATIENCE_MS / 1000} s`);
      timer = setTimeout(() => resolve(told), PATIENCE_MS);
    });
    const { text: told, isWrong } = await Promise.race([outcome, late]);
    clearTimeout(timer);
    if (isWrong) blame(`${text}: ${told}`);
    return `${told}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  };
  return { text, heal };
}

export const ADMIN_NEMESES: readonly Nemesis[] = [
  {
    name: "admin",
    about:
      "a node flushes and merges all it has or streams a snapshot, or the cluster is backed up",
    holdMs: [0, 500],
    strike,
  },
];
