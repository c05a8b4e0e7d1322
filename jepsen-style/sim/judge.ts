/** Judges what the clients of a run have seen. */
import type { History } from "./load.js";
import { checkObservations } from "./observations.js";

/** What is wrong with it, in words; undefined where nothing is. */
export function checkHistory(history: History): string | undefined {
  return checkObservations(history);
}
