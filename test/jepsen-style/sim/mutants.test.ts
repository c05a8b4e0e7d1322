/** Mutants rot silently when the code they change moves on: each must find its place, once. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { mutated, occurrencesOf } from "../../../jepsen-style/sim/mutant.js";
import type { Mutant } from "../../../jepsen-style/sim/mutant.js";
import { CLIENT_MUTANTS, MUTANTS, mutantNamed } from "../../../jepsen-style/sim/mutants.js";

const ALL: readonly Mutant[] = [...MUTANTS, ...CLIENT_MUTANTS];

function sourceOf({ file }: Mutant): string {
  return readFileSync(new URL(`../../../src/${file}.ts`, import.meta.url), "utf8");
}

test.each(ALL)("$name changes one place of $file", (mutant) => {
  const source = sourceOf(mutant);
  expect(occurrencesOf(mutant, source)).toBe(1);
  expect(mutated(mutant, source)).not.toBe(source);
  expect(mutant.bug).toMatch(/^\S.{20,95}$/);
});

test("names are names of one mutant", () => {
  expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  for (const mutant of ALL) expect(mutantNamed(mutant.name)).toBe(mutant);
  expect(() => mutantNamed("none")).toThrow(/no mutant none/);
});

test("white space does not count, and what occurs twice or never is refused", () => {
  const mutant = { name: "m", bug: "", file: "", find: "a(b) { $c; }", replace: "$& 'x'" };
  expect(mutated(mutant, "if a(b) {\n  $c;\n}.")).toBe("if $& 'x'.");
  expect(() => mutated(mutant, "a(b) { $c; } a(b) {\n$c; }")).toThrow(/occurs 2 times/);
  expect(() => mutated(mutant, "a(b) { c; }")).toThrow(/occurs 0 times/);
});
