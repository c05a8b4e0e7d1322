/**
 * Where a watch begins that names no revision: behind what was answered by any node, where that is
 * confirmed soon, else at what this node has applied, but never below what was answered here. While
 * nobody confirms anything only the first watch waits for that: those that come after it begin at
 * once, and ask in the background, one at a time, whether that is over.
 */
import { FIRST_KEY } from "../base/key-range.js";
import type { Client } from "../client/client.js";
import type { Timers } from "../env/timers.js";
import type { ResponseHeader } from "../protocol/key-value.js";

/** How long a watch waits for the newest revision, before it begins at what its node has. */
const CONFIRM_MS = 100;

/** The part of the client that is asked. */
export interface StartClient extends Pick<Client, "get"> {
  readonly admin: Pick<Client["admin"], "keyspace" | "revision">;
}

export interface StartSource {
  /** Of all that answers have told. */
  readonly newestRevision: number;
  client(): Promise<StartClient>;
  noted(header: ResponseHeader): unknown;
}

export class WatchStart {
  readonly #timers: Timers;
  readonly #source: StartSource;
  /** Each ends the wait of one watch. */
  readonly #waits: Set<() => void> = new Set();
  /** The newest revision was not confirmed when it was asked for last. */
  #isUnconfirmed = false;
  #isProbing = false;

  constructor(timers: Timers, source: StartSource) {
    this.#timers = timers;
    this.#source = source;
  }

  async revision(): Promise<number> {
    const client = await this.#source.client();
    const { keyspaceId, dense } = await client.admin.keyspace();
    // Of many shards no node knows how far all of them are.
    if (!dense) return client.admin.revision(keyspaceId);
    if (await this.#confirmedSoon(client)) return this.#source.newestRevision;
    // Any key will do. Who was told of a write by the leader may be ahead of this node's replica.
    this.#source.noted((await client.get(FIRST_KEY, { level: "stale", keysOnly: true })).header);
    return this.#source.newestRevision;
  }

  /** Nobody waits for a confirmation any more. */
  close(): void {
    for (const giveUp of this.#waits) giveUp();
  }

  /** Whether the newest revision was confirmed just now. */
  async #confirmedSoon(client: StartClient): Promise<boolean> {
    if (this.#isUnconfirmed) {
      this.#probe(client);
      return false;
    }
    const isConfirmed = await this.#inTime(this.#confirm(client));
    this.#isUnconfirmed ||= !isConfirmed;
    return isConfirmed;
  }

  /** false too where it takes too long. */
  #inTime(confirming: Promise<boolean>): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isConfirmed: boolean): void => {
        timer.cancel();
        this.#waits.delete(giveUp);
        resolve(isConfirmed);
      };
      const giveUp = (): void => settle(false);
      const timer = this.#timers.after(CONFIRM_MS, giveUp);
      this.#waits.add(giveUp);
      void confirming.then(settle);
    });
  }

  #probe(client: StartClient): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    void this.#confirm(client).then(() => (this.#isProbing = false));
  }

  async #confirm(client: StartClient): Promise<boolean> {
    try {
      this.#source.noted((await client.get(FIRST_KEY, { keysOnly: true })).header);
      this.#isUnconfirmed = false;
      return true;
    } catch {
      return false;
    }
  }
}
