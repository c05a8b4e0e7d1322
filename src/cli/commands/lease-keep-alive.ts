/** flotctl lease keep-alive: renews a lease each third of its time, until it ends or Ctrl-C. */
import { setTimeout as sleep } from "node:timers/promises";
import { notApplied } from "../../protocol/errors.js";
import { requiredLeaseOf, switchOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { leaseText } from "../lease-reports.js";

const RENEWALS_PER_TTL = 3;

export const leaseKeepAlive: CommandDefinition<Context> = {
  flags: {
    once: { type: "boolean", describe: "renew it once and end" },
  },
  writes: false,
  endsItself: true,
  run: async (context, argv) => {
    const id = requiredLeaseOf(argv, "id");
    const once = switchOf(argv, "once");
    const client = await context.client();
    const printer = await context.printer();
    while (!context.signal.aborted) {
      const response = await client.leases.keepAlive(id);
      const { ttlSeconds } = response;
      if (ttlSeconds === 0 && once) throw notApplied("leaseNotFound", "there is no such lease");
      if (ttlSeconds === 0) {
        printer.done(`lease ${leaseText(id)} expired or revoked.`, { ID: leaseText(id), TTL: 0 });
        return EXIT.ok;
      }
      printer.lease({ kind: "keptAlive", id, response });
      if (once) return EXIT.ok;
      await pause((ttlSeconds * 1000) / RENEWALS_PER_TTL, context.signal);
    }
    return EXIT.interrupted;
  },
};

/** Ends early by the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
