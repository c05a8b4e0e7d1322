/**
 * A lock by name: held by the first in a waiting line (`waiting-line.ts`), until its key is
 * deleted or its lease ends. It keeps nobody from anything who does not look at it: see there for
 * how to fence off a holder who does not know yet that he has lost it.
 */
import type { BytesLike, Headed } from "./client-types.js";
import { joinLine, waitInLine } from "./waiting-line.js";
import type { Place, RecipeClient } from "./waiting-line.js";

export interface LockOptions {
  readonly name: BytesLike;
  /** The lock ends with it, so somebody keeps it alive. */
  readonly lease: bigint;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Whoever deletes `key` gives the lock back. */
export interface HeldLock extends Headed, Place {}

/**
 * Resolves when the lock is held, at once where this lease holds it already. Rejects with
 * `leaseNotFound`, with `sessionExpired` where the lease ended while it waited, or `cancelled`; the
 * key is deleted then.
 */
export async function acquireLock(client: RecipeClient, options: LockOptions): Promise<HeldLock> {
  const { place } = await joinLine(client, options);
  const header = await waitInLine(client, options.name, place, options.signal);
  return { ...place, header };
}
