/**
 * Published clients of etcd on a real node, through their public interfaces: npm's etcd3, where it
 * can be installed, and Python's etcd3gw, where it is.
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
