/** The command: random requests to etcd and to Flotilla, and the smallest difference found. */
import { parseArgs } from "node:util";
import { etcdVersion } from "../etcd-cluster.js";
import { differentialCampaign, findingText } from "./campaign.js";
import { startPair } from "./sides.js";

const HELP = `Usage: npm run -s bench -- differential [options]

Sends random requests to etcd and to Flotilla, one node each, and shows the first difference.

  --requests N    how many (10000)
  --seed N        of the random numbers (the time)
  --etcd COMMAND  etcd's server (etcd)`;

const SHRINK_MS = 180_000;

/** Gives 1 where something differs that was not expected to. */
export async function differential(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      requests: { type: "string", default: "10000" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      etcd: { type: "string", default: "etcd" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [requests, seed] = [Number(values.requests), Number(values.seed)];
  const pair = await startPair(values.etcd);
  const began = performance.now();
  try {
    console.log(`etcd ${etcdVersion(values.etcd)} and Flotilla, seed ${seed}`);
    const options = { requests, seed, shrinkMs: SHRINK_MS };
    const { compared, expected, finding } = await differentialCampaign(pair, options);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(`${compared} requests in ${seconds} s`);
    for (const [name, count] of expected) console.log(`  ${count} differ as expected: ${name}`);
    if (finding === undefined) return 0;
    console.log(findingText(finding));
    return 1;
  } finally {
    await pair.close();
  }
}
