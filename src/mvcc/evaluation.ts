/**
 * What evaluation is told and what it answers. Both are objects that are used again and again.
 */
import type { KvError } from "../protocol/errors.js";
import type { ShardEpoch } from "../protocol/cluster.js";

export interface EvaluationContext {
  /** The leader's term; the entry is refused in any other. */
  readonly term: number;
  readonly epoch: ShardEpoch;
  /** The revision to take if there are effects; larger than every one evaluated before. */
  readonly revision: number;
  /** The closed revision to carry; an entry also closes its own. */
  readonly closedRevision: number;
  readonly clockMs: number;
}

export class Evaluation {
  outcome: "effects" | "noEffects" | "refused" = "noEffects";
  /** The revision that was taken; without effects the newest that was evaluated. */
  revision = 0;
  /**
   * The body of the answer behind its header, a copy that may be kept. undefined: nothing beyond
   * the header but, for a put, u8 0 (no previous key-value).
   */
  response: Uint8Array | undefined = undefined;
  /** Set when refused, and then nothing was evaluated. */
  error: KvError | undefined = undefined;
}
