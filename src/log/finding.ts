/** What a look at files without a running node finds, and what is lost by it. */
export interface Finding {
  readonly path: string;
  readonly offset: number;
  /** What is wrong there. */
  readonly what: string;
  readonly loss: Loss;
  /** False where it may as well be the trace of a crash, which is no damage. */
  readonly isDamage: boolean;
}

/** By the kind is decided what to do; the rest is for people. */
export type Loss =
  | { readonly kind: "nothing"; readonly because?: string | undefined }
  | { readonly kind: "unknown" }
  /** Of entries, or of reads; what replicas have, others have too. */
  | {
      readonly kind: "content";
      readonly what: string;
      /** Whose replicas on other nodes refill it, where that is known. */
      readonly shardIds?: readonly number[] | undefined;
    }
  /** Without it the node is no member: its vote, its log, who it is. */
  | { readonly kind: "standing"; readonly what: string; readonly also?: string | undefined }
  | { readonly kind: "everything"; readonly what: string };

export const NOTHING_LOST: Loss = { kind: "nothing" };

/** A store that is opened alone, or whose replicas have no peers, has nobody. */
const BY_OTHERS = "replicas on other nodes refill it, where there are any";

/** The loss for people. */
export function lossText(loss: Loss): string {
  switch (loss.kind) {
    case "nothing":
      return loss.because === undefined ? "nothing" : `nothing: ${loss.because}`;
    case "unknown":
      return "nothing that is known";
    case "content":
      if (loss.shardIds === undefined) return loss.what;
      return `${loss.what}, for shard ${loss.shardIds.join(", ")}: ${BY_OTHERS}`;
    case "standing": {
      const text = `${loss.what}: the node has to join anew`;
      return loss.also === undefined ? text : `${text}; ${loss.also}`;
    }
    case "everything":
      return `${loss.what}: everything`;
  }
}
