/** How a client's checks went. */
export interface Report {
  readonly client: string;
  readonly passed: readonly string[];
  /** With what went wrong. */
  readonly failed: readonly string[];
  /** Why a client was left out. */
  readonly missing?: string;
}
