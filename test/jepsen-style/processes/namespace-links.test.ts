/** Links of a network of their own, on machines that give one: ways cut, healed, broken off. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { givesNetworks, insideCommand } from "../../../jepsen-style/processes/own-network.js";

const TRIAL = fileURLToPath(
  new URL("../../../dist/test/support/network-trial.js", import.meta.url),
);

test.skipIf(!givesNetworks())(
  "packets go by the ways that are not cut",
  () => {
    const [command, words] = insideCommand([TRIAL]);
    const { status, stderr } = spawnSync(command, words, { encoding: "utf8", timeout: 50_000 });
    expect([status, stderr]).toEqual([0, ""]);
  },
  60_000,
);
