/** etcdctl and JSON on etcd and on our nodes, side by side, where both of etcd's programs are. */
import { expect, test } from "vitest";
import { isInstalled } from "../support/programs.js";
import { etcdComparison } from "../../scripts/bench/etcd-comparison.js";

const areInstalled = isInstalled("etcd", "--version") && isInstalled("etcdctl", "version");

test.skipIf(!areInstalled)(
  "every command and request is answered as by etcd",
  async () => {
    expect(await etcdComparison([])).toBe(0);
  },
  240_000,
);
