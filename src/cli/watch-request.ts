/** What to watch, from the command line or from a line of `watch -i`, and a program for events. */
import { parseArgs } from "node:util";
import type { Options } from "yargs";
import type { WatchOptions } from "../client/client-types.js";
import { type Arguments, countOf, switchOf, textOf } from "./arguments.js";
import { CliError, invalidInput } from "./failure.js";
import { words } from "./quoting.js";
import { selectKeys } from "./selection.js";

export const WATCH_FLAGS: Readonly<Record<string, Options>> = {
  prefix: { type: "boolean", describe: "watch keys with this prefix" },
  "from-key": { type: "boolean", describe: "watch all keys at or after this key" },
  rev: { type: "string", describe: "start with this revision; 0 for what comes from now on" },
  "prev-kv": { type: "boolean", describe: "with the key-value before each change" },
  "progress-notify": {
    type: "boolean",
    describe: "say up to which revision everything was shown, when nothing changes",
  },
};

export interface WatchRequest {
  readonly options: WatchOptions;
  /** Program and arguments to run for each event; empty for none. */
  readonly program: readonly string[];
}

export function watchRequest(argv: Arguments, program: readonly string[]): WatchRequest {
  const key = textOf(argv, "key");
  if (key === undefined) throw invalidInput("watch needs a key", "flotctl watch --help");
  const span = selectKeys(key, textOf(argv, "range-end"), {
    prefix: switchOf(argv, "prefix"),
    fromKey: switchOf(argv, "from-key"),
  });
  return {
    options: {
      ...span,
      startRevision: countOf(argv, "rev"),
      prevKv: switchOf(argv, "prev-kv"),
      progress: switchOf(argv, "progress-notify"),
    },
    program,
  };
}

export type WatchLine =
  | ({ readonly kind: "watch" } & WatchRequest)
  | { readonly kind: "progress" }
  | { readonly kind: "empty" };

/** A line of `watch -i`: `watch [flags] key [range-end] [-- program]`, or `progress`. */
export function parseWatchLine(line: string): WatchLine {
  const all = words(line);
  if (all === undefined) throw invalidInput(`quotes do not match: ${line}`);
  const [first, ...args] = all;
  if (first === undefined) return { kind: "empty" };
  if (first === "progress" && args.length === 0) return { kind: "progress" };
  if (first !== "watch")
    throw invalidInput(`not a watch: ${line}`, "watch [flags] key [range-end]");
  const cut = args.indexOf("--");
  const own = cut < 0 ? args : args.slice(0, cut);
  try {
    const request = watchRequest(parsedFlags(own), cut < 0 ? [] : args.slice(cut + 1));
    return { kind: "watch", ...request };
  } catch (error) {
    if (!(error instanceof CliError || error instanceof TypeError)) throw error;
    throw invalidInput(`not a watch: ${line} (${error.message})`);
  }
}

function parsedFlags(args: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      prefix: { type: "boolean" },
      "from-key": { type: "boolean" },
      rev: { type: "string" },
      "prev-kv": { type: "boolean" },
      "progress-notify": { type: "boolean" },
    },
  });
  const [key, end, ...more] = positionals;
  if (more.length > 0) throw invalidInput("too many arguments");
  return { ...values, key, "range-end": end };
}
