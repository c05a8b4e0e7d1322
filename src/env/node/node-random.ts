/** Chance from the system. */
import { randomBytes } from "node:crypto";
import type { Random } from "../random.js";

export const nodeRandom: Random = {
  fraction: () => Math.random(),
  uniqueId: () => randomBytes(16).toString("hex"),
};
