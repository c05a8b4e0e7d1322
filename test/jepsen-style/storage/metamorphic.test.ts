/** One list of operations, many configurations, one answer: the short version of the campaign. */
import { expect, test } from "vitest";
import { metamorphic } from "../../../jepsen-style/storage/metamorphic.js";

test("fifty configurations give the answers of the model", async () => {
  expect(await metamorphic(1, 300, 50)).toEqual([]);
});
