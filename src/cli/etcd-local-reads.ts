/**
 * Serializable reads: by this node's replica, which has what was written by this node before. So it
 * is in etcd, where the member that is asked has applied a write when it answers.
 */
import type { ReadOptions } from "../client/client-types.js";
import { KvError } from "../protocol/errors.js";

export const LINEARIZABLE: ReadOptions = { level: "linearizable" };

export class LocalReads {
  /** Of the writes that were answered here. */
  #writtenRevision = 0;

  wrote(revision: number): void {
    this.#writtenRevision = Math.max(this.#writtenRevision, revision);
  }

  /** Asks once, or once more where the replica cannot answer that. */
  async read<Answer>(ask: (options: ReadOptions) => Promise<Answer>): Promise<Answer> {
    const minRevision = this.#writtenRevision;
    try {
      return await ask({ level: "stale", minRevision });
    } catch (error) {
      const { code } = KvError.from(error);
      // A replica that lags cannot tell what is to come from what it has not heard of yet, and who
      // reads at a revision that another node told him of means the latter: the leader knows.
      if (code === "futureRevision") return ask(LINEARIZABLE);
      if (minRevision === 0 || (code !== "unavailable" && code !== "timeout")) throw error;
      // It is cut off and will not hear of that write: what it has is what was asked for.
      if (this.#writtenRevision === minRevision) this.#writtenRevision = 0;
      return ask({ level: "stale" });
    }
  }
}
