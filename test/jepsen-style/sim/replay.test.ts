/** What is printed shows the run that failed, and no other. */
import { expect, test } from "vitest";
import { makeSmaller, seeAgain } from "../../../jepsen-style/sim/replay.js";

test("a command names the seed and the faults that are left", () => {
  const mutant = undefined;
  expect(seeAgain({ seed: 7, mutant })).toBe("npm run -s sim -- --seed 7 --trace");
  const replay = { seed: 7, only: "3,9", mutant };
  expect(seeAgain(replay)).toBe("npm run -s sim -- --seed 7 --only 3,9 --trace");
  expect(makeSmaller(replay)).toBe("npm run -s sim -- --seed 7 --only 3,9 --minimise");
});

test("a command names the mutant that ran", () => {
  const replay = { seed: 7, mutant: "vote-not-saved" };
  expect(seeAgain(replay)).toBe("npm run -s sim -- --seed 7 --trace --mutant vote-not-saved");
});
