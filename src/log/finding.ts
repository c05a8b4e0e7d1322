/** What a look at files without a running node finds. */
export interface Finding {
  readonly path: string;
  readonly offset: number;
  /** What is wrong there. */
  readonly what: string;
  /** What is lost by it, in words for whoever has to decide. */
  readonly lost: string;
  /** False where it may as well be the trace of a crash, which is no damage. */
  readonly isDamage: boolean;
}
