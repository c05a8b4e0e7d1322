/** What a look at files has found, as lines for people and as values. */
import { lossText } from "../log/finding.js";
import type { Finding } from "../log/finding.js";

export function findingLines({ path, offset, what, loss, isDamage }: Finding): readonly string[] {
  const word = isDamage ? "damage" : "note";
  return [`${word}: ${path} at ${offset}: ${what}\n`, `  lost: ${lossText(loss)}\n`];
}

/** What `--json` prints of it. */
export function findingValue({ loss, ...finding }: Finding): object {
  return { ...finding, loss: loss.kind, lost: lossText(loss) };
}
