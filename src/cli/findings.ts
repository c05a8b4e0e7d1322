/** What a look at files has found, as lines for people. */
import type { Finding } from "../log/finding.js";

export function findingLines({ path, offset, what, lost, isDamage }: Finding): readonly string[] {
  const word = isDamage ? "damage" : "note";
  return [`${word}: ${path} at ${offset}: ${what}\n`, `  lost: ${lost}\n`];
}
