/** What a report shows of a run; the instruments fill it in. */
import type { Finding } from "../checkers/finding.js";
import type { Recorded } from "../workloads/history-log.js";

export interface RunData {
  readonly title: string;
  /** The command that does it again. */
  readonly command: string;
  readonly verdict: Finding["verdict"];
  readonly findings: readonly Finding[];
  readonly operations: readonly Recorded[];
  readonly faults: readonly {
    readonly nemesis: string;
    readonly text: string;
    readonly fromMs: number;
    readonly toMs: number;
  }[];
  /** Looks at which somebody led. */
  readonly leads: readonly {
    readonly atMs: number;
    readonly node: string;
    readonly term: number;
  }[];
  readonly healedMs: number;
  readonly endedMs: number;
  /** How it was made: names and values. */
  readonly facts: readonly (readonly [string, string])[];
}
