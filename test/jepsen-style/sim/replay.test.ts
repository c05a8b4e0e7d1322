import { afterEach, describe, expect, test } from "vitest";
import { MUTANT_VARIABLE } from "../../../jepsen-style/sim/mutant.js";
import { makeSmaller, seeAgain } from "../../../jepsen-style/sim/replay.js";

describe("the commands that show a run once more", () => {
  afterEach(() => {
    delete process.env[MUTANT_VARIABLE];
  });

  test("name the seed and the faults that are left", () => {
    expect(seeAgain(7)).toBe("npm run -s sim -- --seed 7 --trace");
    expect(seeAgain(7, "3,9")).toBe("npm run -s sim -- --seed 7 --only 3,9 --trace");
    expect(makeSmaller(7, "3,9")).toBe("npm run -s sim -- --seed 7 --only 3,9 --minimise");
  });

  test("name the mutant that runs", () => {
    process.env[MUTANT_VARIABLE] = "vote-not-saved";
    expect(seeAgain(7)).toBe("npm run -s sim -- --seed 7 --trace --mutant vote-not-saved");
  });
});
