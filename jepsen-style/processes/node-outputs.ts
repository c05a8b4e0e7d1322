/** Looks through what the nodes printed for words that no fault excuses. */
import { existsSync, readFileSync } from "node:fs";
import type { Finding } from "../checkers/finding.js";
import { invalid, valid } from "../checkers/finding.js";
import type { Cluster } from "./cluster.js";

const WORDS = /assertion|AssertionError|TypeError|RangeError|ReferenceError|unhandled|uncaught/i;
const SHOWN_MAX = 5;

export function judgeOutputs(cluster: Cluster): Finding {
  const name = "no words of broken code";
  const found = cluster.nodes.flatMap(({ setup }) => {
    if (!existsSync(setup.outputPath)) return [];
    const lines = readFileSync(setup.outputPath, "utf8").split("\n");
    return lines.filter((line) => WORDS.test(line)).map((line) => `${setup.place.name}: ${line}`);
  });
  if (found.length === 0) return valid(name);
  return invalid(name, [`in the nodes' output:`, ...found.slice(0, SHOWN_MAX)].join("\n  "));
}
