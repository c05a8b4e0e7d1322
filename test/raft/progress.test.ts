/** What a leader knows of a replica that waits for entries from the disk. */
import { expect, test } from "vitest";
import { Progress } from "../../src/raft/progress.js";
import { RAFT_DEFAULTS } from "./cluster.js";

/** It has everything up to 4, and waits for what follows. */
function awaiting(): Progress {
  const config = { ...RAFT_DEFAULTS, selfId: 1, random: () => 0.5 };
  const progress = new Progress(2, 1, 0, config);
  progress.acknowledged(4);
  progress.becomeReplicate();
  progress.awaitEntries();
  return progress;
}

test("an acknowledgement that overtakes the read does not leave it waiting", () => {
  const progress = awaiting();
  progress.acknowledged(10);
  expect(progress.entriesCame(5)).toBe(true);
  expect([progress.awaitsEntries, progress.nextIndex]).toEqual([false, 11]);
});

test("what was read for another state, or another place, is not what it waits for", () => {
  const progress = awaiting();
  expect(progress.entriesCame(4)).toBe(false);
  progress.becomeProbe();
  expect(progress.entriesCame(5)).toBe(false);
});
