/** flotctl keyspace create: a keyspace ordered by key, or scattered by hash. */
import { utf8 } from "../../base/bytes.js";
import { type Arguments, choiceOf, countOf, requiredOf, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";

export const keyspaceCreate: CommandDefinition<Context> = {
  flags: {
    kind: { type: "string", describe: "range (ordered by key) or hash (scattered)" },
    "split-points": { type: "string", describe: "range: keys to cut it at, with commas" },
    shards: { type: "string", describe: "hash: into how many shards to cut it" },
    "replication-factor": { type: "string", describe: "replicas of each shard; 0 for the default" },
  },
  writes: true,
  examples: [
    ["keyspace create docs --split-points g,p", "three shards, ordered by key"],
    ["keyspace create files --kind hash --shards 8", "eight shards, scattered"],
  ],
  run: async (context, argv) => {
    const name = requiredOf(argv, "name");
    const client = await context.client();
    const created = await client.admin.createKeyspace({
      name,
      ...layout(argv),
      replicationFactor: countOf(argv, "replication-factor"),
    });
    const { keyspaceId, kind } = created;
    const sentence = `Keyspace ${name} created: id ${keyspaceId}, kind ${kind}`;
    (await context.printer()).done(sentence, { name, id: keyspaceId, kind });
    return EXIT.ok;
  },
};

type Layout =
  | { readonly kind: "range"; readonly splitPoints: readonly Uint8Array[] }
  | { readonly kind: "hash"; readonly shards: number };

function layout(argv: Arguments): Layout {
  const kind = choiceOf(argv, "kind", { range: "range", hash: "hash" } as const) ?? "range";
  const points = textOf(argv, "split-points");
  const shards = countOf(argv, "shards");
  if (kind === "hash") {
    if (points !== undefined) throw badArguments("--split-points belongs to --kind range");
    return { kind, shards: Math.max(shards, 1) };
  }
  if (shards > 0) throw badArguments("--shards belongs to --kind hash; use --split-points");
  const list = points === undefined || points === "" ? [] : points.split(",");
  return { kind, splitPoints: list.map(utf8) };
}
