/**
 * flotctl endpoint hashkv: a hash of what each endpoint's replicas of a keyspace mean. Replicas of
 * a shard at the same revisions must agree; it fails if two do not.
 */
import { KvError } from "../../protocol/errors.js";
import { DEFAULT_KEYSPACE_NAME } from "../../protocol/cluster.js";
import { countOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { ENDPOINT_FLAGS, endpointList } from "../endpoint-list.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { keyspaceNamed } from "../keyspace-lookup.js";
import { type ReplicaHash, hashSheet } from "../sheets.js";
import { note } from "../terminal.js";

/** A hash reads all there is. */
const TIMEOUT_MS = 600_000;

export const endpointHashKv: CommandDefinition<Context> = {
  flags: {
    ...ENDPOINT_FLAGS,
    rev: { type: "string", describe: "of this revision; the newest of each by default" },
  },
  writes: false,
  examples: [["endpoint hashkv --cluster --rev 100", "whether all nodes have the same there"]],
  run: async (context, argv) => {
    const revision = countOf(argv, "rev");
    const client = await context.client();
    const endpoints = await endpointList(context, argv);
    const { clusterMap } = await client.admin.map();
    const name = context.options.keyspace ?? DEFAULT_KEYSPACE_NAME;
    const { keyspaceId } = keyspaceNamed(clusterMap, name);
    const failures: string[] = [];
    const answers = endpoints.map((endpoint) =>
      hashesAt(client, { endpoint, keyspaceId, revision }).catch((error: unknown) => {
        failures.push(`${endpoint}: ${KvError.from(error).message}`);
        return [];
      }),
    );
    const list = (await Promise.all(answers)).flat();
    (await context.printer()).sheet(hashSheet(list));
    for (const failure of failures) note(context.terminal, failure, "red");
    const odd = list.find((one) => list.some((other) => differ(one, other)));
    if (odd === undefined) return failures.length === 0 ? EXIT.ok : EXIT.failed;
    throw new CliError(EXIT.failed, `replicas of shard ${odd.shardId} differ`);
  },
};

interface Asked {
  readonly endpoint: string;
  readonly keyspaceId: number;
  readonly revision: number;
}

async function hashesAt(
  { admin }: ClientPort,
  { endpoint, keyspaceId, revision }: Asked,
): Promise<ReplicaHash[]> {
  const { replicas } = await admin.status(endpoint);
  const list: ReplicaHash[] = [];
  for (const { shardId, keyspaceId: owner } of replicas) {
    if (owner !== keyspaceId) continue;
    const answer = await admin.hash(endpoint, { shardId, revision }, TIMEOUT_MS);
    list.push({ endpoint, shardId, ...answer });
  }
  return list;
}

function differ(one: ReplicaHash, other: ReplicaHash): boolean {
  return (
    one.shardId === other.shardId &&
    one.revision === other.revision &&
    one.compactedRevision === other.compactedRevision &&
    one.hash !== other.hash
  );
}
