/**
 * An election by name: candidates stand in a waiting line (`waiting-line.ts`), the first of them is
 * the leader, and the value of his key is what he proclaims.
 */
import { equalBytes } from "../base/bytes.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import { putOf } from "../protocol/operations.js";
import type { BytesLike, Headed } from "./client-types.js";
import { bytesFrom } from "./key-span.js";
import { createdAt, frontOfLine, joinLine, leaveLine, waitInLine } from "./waiting-line.js";
import type { Place, RecipeClient } from "./waiting-line.js";

export interface CampaignOptions {
  readonly name: BytesLike;
  /** The candidate is out when it ends, so somebody keeps it alive. */
  readonly lease: bigint;
  readonly value: BytesLike;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

export interface Leadership extends Place {
  readonly lease: bigint;
}

export interface Elected extends Headed, Leadership {}

/** Resolves when this candidate leads; rejects as `acquireLock` does. */
export async function campaign(client: RecipeClient, options: CampaignOptions): Promise<Elected> {
  const { name, lease, signal } = options;
  const { place, kv } = await joinLine(client, options);
  if (kv !== undefined && !equalBytes(kv.value, bytesFrom(options.value))) {
    await proclaim(client, { ...place, lease }, options.value);
  }
  const header = await waitInLine(client, name, place, signal);
  return { ...place, lease, header };
}

/** Says something new, unless the leadership is over, which `isLeader` tells. */
export async function proclaim(
  client: RecipeClient,
  { key, createRevision, lease }: Leadership,
  value: BytesLike,
): Promise<Headed & { readonly isLeader: boolean }> {
  const { header, succeeded } = await client.txn({
    compares: [createdAt({ key, createRevision })],
    success: [putOf(key, bytesFrom(value), { lease })],
    failure: [],
  });
  return { header, isLeader: succeeded };
}

/** The leader's key-value, if there is a leader. */
export function leaderOf(
  client: RecipeClient,
  name: BytesLike,
): Promise<{ readonly header: ResponseHeader; readonly kv: KeyValue | undefined }> {
  return frontOfLine(client, name);
}

/** Ends the leadership, or the candidacy; that it had ended before is as good. */
export async function resign(client: RecipeClient, leadership: Place): Promise<Headed> {
  return { header: await leaveLine(client, leadership) };
}
