/** The hook that changes the mutant's file as it is loaded; it runs in a thread of its own. */
import { must } from "../../src/base/assert.js";
import { MUTANT_VARIABLE, mutated } from "./mutant.js";
import { mutantNamed } from "./mutants.js";

interface Loaded {
  readonly format: string;
  readonly shortCircuit?: boolean;
  readonly source?: string | ArrayBuffer | Uint8Array;
}

type Load = (url: string, context: object) => Promise<Loaded>;

const mutant = mutantNamed(must(process.env[MUTANT_VARIABLE], "the name of a mutant"));
const url = new URL(`../../src/${mutant.file}.js`, import.meta.url).href;

export async function load(asked: string, context: object, next: Load): Promise<Loaded> {
  const loaded = await next(asked, context);
  if (asked !== url) return loaded;
  const { source } = loaded;
  const text = typeof source === "string" ? source : new TextDecoder().decode(source);
  return { ...loaded, source: mutated(mutant, text) };
}
