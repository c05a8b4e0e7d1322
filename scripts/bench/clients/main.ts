/**
 * The command: published clients of etcd, used through what they offer, against a node of ours.
 * npm's `etcd3` is installed for the run; Python's `etcd3gw` and Go's `clientv3` are used where they
 * are installed, the latter through etcd's own proxy, too. With --etcd the same runs against etcd,
 * which shows that the checks are right.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { must } from "../../../src/base/assert.js";
import { startEtcd } from "../etcd-cluster.js";
import { startOurs } from "../our-cluster.js";
import { Processes } from "../processes.js";
import { checkGo } from "./go-client.js";
import { checkNode } from "./node-client.js";
import { checkPython } from "./python-client.js";
import { startProxy } from "./proxy.js";
import type { Report } from "./report.js";

const HELP = `Usage: npm run -s bench -- clients [options]

Runs published clients of etcd, npm's etcd3, Python's etcd3gw and Go's clientv3, against Flotilla.

  --etcd COMMAND  against this server of etcd instead`;

/** Gives 1 where a check has failed. */
export async function clients(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { etcd: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const reports = await checkClients(values.etcd);
  for (const { client, passed, failed, missing } of reports) {
    console.log(`${client}: ${missing ?? `${passed.length} passed, ${failed.length} failed`}`);
    for (const one of failed) console.log(`  ${one}`);
  }
  return reports.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

export async function checkClients(etcd: string | undefined): Promise<readonly Report[]> {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-clients-"));
  const processes = new Processes();
  try {
    const options = { directory, members: "all", nodes: 3 } as const;
    const { addresses } =
      etcd === undefined
        ? await startOurs(processes, { ...options, api: "etcd" })
        : await startEtcd(processes, { ...options, command: etcd });
    const address = must(addresses[0]);
    return [
      await checkNode(address, directory),
      await checkPython(address),
      ...(await checkGo(addresses, () => startProxy(processes, directory, addresses), directory)),
    ];
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}
