/** flotctl make-mirror: copies keys to another cluster and goes on copying what changes. */
import { utf8 } from "../../base/bytes.js";
import { TRANSACTION_OPERATIONS_MAX } from "../../base/limits.js";
import { countOf, requiredOf, switchOf, textOf } from "../arguments.js";
import type { Arguments } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
import { Mirror } from "../mirror.js";
import { selectKeys } from "../selection.js";
import { boundsOf, patienceOf, TRANSFER_FLAGS } from "../transfer.js";

const REPORT_MS = 30_000;

export const makeMirror: CommandDefinition<Context> = {
  flags: {
    prefix: { type: "string", describe: "only keys with this prefix" },
    rev: { type: "string", describe: "what has changed from this revision on; no copy before" },
    "dest-prefix": { type: "string", describe: "instead of the prefix, at the destination" },
    "no-dest-prefix": { type: "boolean", describe: "without the prefix, at the destination" },
    "dest-keyspace": { type: "string", describe: "the keyspace there; the default one by default" },
    "max-txn-ops": { type: "string", describe: "changes in one transaction; 128 by default" },
    ...TRANSFER_FLAGS,
  },
  writes: true,
  endsItself: true,
  examples: [
    ["make-mirror 10.0.0.9:2379", "everything, until Ctrl-C"],
    ["make-mirror 10.0.0.9:2379 --prefix app/ --dest-prefix copy/", "one prefix as another"],
  ],
  epilogue: [
    "Prints every 30 seconds how many keys were copied or deleted there. Leases are not taken over.",
    "What the destination has beside them stays. It ends where the history that it needs has been",
    "compacted; whoever begins anew has to delete there what was deleted meanwhile.",
  ].join("\n"),
  run: async (context, argv) => {
    const mirror = await mirrorOf(context, argv);
    const startRevision = countOf(argv, "rev");
    const printer = await context.printer();
    const report = (): void => printer.done(String(mirror.mirrored), { keys: mirror.mirrored });
    const timer = setInterval(report, REPORT_MS);
    context.signal.addEventListener("abort", () => mirror.end(), { once: true });
    try {
      const first = startRevision > 0 ? startRevision : (await mirror.copy()) + 1;
      if (!context.signal.aborted) await mirror.follow(first);
    } finally {
      clearInterval(timer);
    }
    report();
    return context.signal.aborted ? EXIT.interrupted : EXIT.ok;
  },
};

async function mirrorOf(context: Context, argv: Arguments): Promise<Mirror> {
  const prefix = textOf(argv, "prefix") ?? "";
  const most = countOf(argv, "max-txn-ops") || TRANSACTION_OPERATIONS_MAX;
  if (most > TRANSACTION_OPERATIONS_MAX) {
    throw badArguments(`--max-txn-ops is ${most}, more than ${TRANSACTION_OPERATIONS_MAX}`);
  }
  const keptPrefix = switchOf(argv, "no-dest-prefix") ? "" : prefix;
  const destination = requiredOf(argv, "destination");
  const from = await context.client();
  return new Mirror({
    from,
    to: await context.clientOf(destination.split(","), textOf(argv, "dest-keyspace")),
    span: selectKeys(prefix, undefined, { prefix: true, fromKey: false }),
    prefix: utf8(prefix),
    destinationPrefix: utf8(textOf(argv, "dest-prefix") ?? keptPrefix),
    transactionOperationsMax: most,
    bounds: boundsOf(context),
    patience: patienceOf(context, argv),
  });
}
