/** The benchmarks, by name: `npm run -s bench -- NAME [options]`. */
import { checksumBench } from "./checksum-bench.js";
import { churnBench } from "./churn-bench.js";
import { clients } from "./clients/main.js";
import { clusterBench } from "./cluster-bench.js";
import { differential } from "./differential/main.js";
import { etcdComparison } from "./etcd-comparison.js";
import { leaseBench } from "./lease-bench.js";
import { storageBench } from "./storage-bench.js";
import { treesBench } from "./trees-bench.js";
import { watchBench } from "./watch-bench.js";

interface Benchmark {
  readonly about: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ["cluster", { about: "a cluster of three nodes, if wanted beside etcd", run: clusterBench }],
  ["checksum", { about: "the checksums of the log's batches", run: checksumBench }],
  ["churn", { about: "space and writing when the same keys are overwritten", run: churnBench }],
  ["clients", { about: "published clients of etcd on Flotilla", run: clients }],
  ["compare", { about: "etcdctl on etcd and on Flotilla: what differs", run: etcdComparison }],
  ["differential", { about: "random requests on etcd and on Flotilla", run: differential }],
  ["leases", { about: "many leases of etcd's API, kept alive at all nodes", run: leaseBench }],
  ["storage", { about: "the storage engine beside classic-level and lmdb", run: storageBench }],
  ["trees", { about: "what many small trees in one store cost", run: treesBench }],
  ["watch", { about: "how long events take to many watchers of etcd's API", run: watchBench }],
]);

function help(): string {
  const names = [...BENCHMARKS].map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`);
  return `Usage: npm run -s bench -- NAME [options]\n\n${names.join("\n")}\n
"NAME --help" says more. Build first: npm run build.`;
}

async function main(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  const benchmark = BENCHMARKS.get(name);
  if (benchmark === undefined) {
    console.log(help());
    return name === "" || name === "--help" || name === "help" ? 0 : 2;
  }
  return benchmark.run(rest);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
