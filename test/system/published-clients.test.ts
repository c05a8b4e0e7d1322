/**
 * Published clients of etcd on real nodes, through their public interfaces: npm's etcd3, where it
 * can be installed, Python's etcd3gw and Go's clientv3, where they are.
 */
import { expect, test } from "vitest";
import { checkClients } from "../../scripts/bench/clients/main.js";

test("are served as by etcd", async () => {
  const reports = await checkClients(undefined);
  for (const { client, missing } of reports) {
    if (missing !== undefined) console.log(`${client}: ${missing}`);
  }
  expect(reports.flatMap(({ client, failed }) => failed.map((one) => `${client}: ${one}`))).toEqual(
    [],
  );
}, 240_000);
