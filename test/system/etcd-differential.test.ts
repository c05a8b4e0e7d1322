/**
 * Some random requests to a real etcd and to ours, by gRPC and by JSON, watches among them: every
 * answer must be the same, but for who answers and for what is listed with its reasons. The command
 * `npm run -s bench -- differential` does the same with as many as are wanted.
 */
import { describe, expect, test } from "vitest";
import { isInstalled } from "../support/programs.js";
import { differentialCampaign, findingText } from "../../scripts/bench/differential/campaign.js";
import { startPair } from "../../scripts/bench/differential/sides.js";

const REQUESTS = 2000;

describe.skipIf(!isInstalled("etcd", "--version"))("beside etcd", () => {
  test("random requests are answered alike", async () => {
    const pair = await startPair("etcd");
    try {
      const seed = Date.now() % 1_000_000;
      const options = { seed, requests: REQUESTS, shrinkMs: 10_000 };
      const { compared, finding } = await differentialCampaign(pair, options);
      const text = finding === undefined ? "" : `seed ${seed}: ${findingText(finding)}`;
      expect(text).toBe("");
      expect(compared).toBeGreaterThanOrEqual(REQUESTS);
    } finally {
      await pair.close();
    }
  }, 120_000);
});
