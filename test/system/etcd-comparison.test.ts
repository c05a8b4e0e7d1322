/** etcdctl and JSON on etcd and on our nodes, side by side, where both of etcd's programs are. */
import { expect, test } from "vitest";
import { isInstalled } from "../support/programs.js";
import { etcdComparison } from "../../scripts/bench/etcd-comparison.js";

const areInstalled = isInstalled("etcd", "--version") && isInstalled("etcdctl", "version");

test.skipIf(!areInstalled)(
  "leases, locks and elections are as in etcd",
  async () => {
    expect(await etcdComparison(["--leases"])).toBe(0);
  },
  180_000,
);
