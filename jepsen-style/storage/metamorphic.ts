/**
 * Metamorphic runs: one list of operations under many configurations must give the same answers,
 * and those of the model. Which configuration did what is chance; what is asked is not.
 */
import { Prng } from "../../src/base/prng.js";
import { MemoryDisk } from "../sim/memory-disk.js";
import { configurationOf } from "./configurations.js";
import { drawOperations, drawShape } from "./operations.js";
import { Run } from "./run.js";

/** What is wrong, by configuration; empty where nothing is. */
export async function metamorphic(
  seed: number,
  operationCount: number,
  configurations: number,
): Promise<readonly string[]> {
  const prng = new Prng(seed);
  const operations = drawOperations(prng, drawShape(prng, operationCount));
  const problems: string[] = [];
  let first: readonly string[] | undefined = undefined;
  for (let n = 0; n < configurations; n++) {
    const configuration = configurationOf(seed, n);
    const run = new Run(new MemoryDisk({ completion: "manual" }), {
      operations,
      configuration,
      seed: seed * 1000 + n,
    });
    const where = `seed ${seed}, "${configuration.name}"`;
    try {
      if (!(await run.all())) throw new Error("the store ended by itself");
      first ??= run.answers;
      const at = run.answers.findIndex((answer, i) => answer !== first![i]);
      if (at >= 0) problems.push(`${where}: answer ${at} differs`);
    } catch (error) {
      problems.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return problems;
}
