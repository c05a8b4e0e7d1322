/**
 * The floors of `src` as data: which folder may import which, in the words of the table in
 * `src/README.md`, which is checked against this one. Tidy enforces it; nothing else reads it.
 */

export interface Floor {
  readonly level: number;
  /** The folder below `src`; `env/node` is a floor of its own. */
  readonly folder: string;
  /** No async, no time, no chance, no timers. */
  readonly pure: boolean;
  /** As the table says it: folders with spaces between, "–", "any" or "all of floors a–b but c". */
  readonly imports: string;
  /** Packages of others that this floor may use. */
  readonly packages: readonly string[];
}

function floor(
  level: number,
  folder: string,
  imports: string,
  more: Partial<Pick<Floor, "pure" | "packages">> = {},
): Floor {
  return { level, folder, imports, pure: more.pure ?? false, packages: more.packages ?? [] };
}

export const FLOORS: readonly Floor[] = [
  floor(0, "base", "–", { pure: true }),
  floor(1, "env", "base"),
  floor(1, "env/node", "base env", { packages: ["pino"] }),
  floor(1, "protocol", "base", { pure: true, packages: ["msgpackr"] }),
  floor(2, "events", "base protocol", { pure: true }),
  floor(2, "route", "base protocol", { pure: true }),
  floor(2, "raft", "base", { pure: true }),
  floor(2, "rpc", "base env protocol", { packages: ["msgpackr"] }),
  floor(2, "log", "base env"),
  floor(3, "lsm", "base env log"),
  floor(3, "placement", "base protocol route", { pure: true }),
  floor(4, "store", "base env log lsm"),
  floor(4, "mvcc", "base protocol lsm"),
  floor(5, "shard", "base env protocol events route raft log lsm store mvcc placement"),
  floor(5, "client", "base env protocol events rpc route"),
  floor(6, "node", "all of floors 0–5 but client"),
  floor(7, "gateway", "base env protocol events", { packages: ["ws"] }),
  floor(7, "embedded", "base env protocol log lsm store"),
  floor(8, "cli", "any", { packages: ["yargs", "cli-table3"] }),
];

/** The files that may choose the real world by importing env/node. */
export const ENTRY_FILES: readonly string[] = [
  "src/cli/flotilla.ts",
  "src/cli/flotctl.ts",
  "src/client/index.ts",
  "src/embedded/index.ts",
  "src/store/worker.ts",
];

/** Single files that may import a module or package which their floor may not, and why. */
export const FILE_PACKAGES: readonly { path: string; imports: string; why: string }[] = [
  {
    path: "src/base/checksum.ts",
    imports: "node:zlib",
    why: "zlib's CRC-32 is a pure function and ten times as fast as one written here",
  },
  {
    path: "src/base/sha256.ts",
    imports: "node:crypto",
    why: "a hash is a pure function; what depends on chance or keys stays in env",
  },
  {
    path: "src/gateway/http-server.ts",
    imports: "node:http",
    why: "HTTP/1.1 is served by Node's own parser; connections come through env",
  },
];

/** Floors whose files may import `node:` modules. */
export const NODE_MODULE_FLOORS: readonly string[] = ["env/node", "cli"];

/** What each folder of jepsen-style may import of src; a folder not listed may import any floor. */
export const HARNESS_FLOORS: Readonly<Record<string, readonly string[]>> = {
  workloads: ["base", "env", "protocol", "events", "client"],
  checkers: ["base", "env", "protocol", "events", "client"],
  formats: ["base"],
};

/** The floor a file of src belongs to: the longest folder that fits. */
export function floorOf(path: string): Floor | undefined {
  let best: Floor | undefined;
  for (const candidate of FLOORS) {
    const longer = best === undefined || candidate.folder.length > best.folder.length;
    if (longer && path.startsWith(`src/${candidate.folder}/`)) best = candidate;
  }
  return best;
}

/** The folders that a floor may import, its own and env/node (for entry files) aside. */
export function allowedImports(of: Floor): ReadonlySet<string> {
  const all = FLOORS.filter((other) => other.folder !== "env/node");
  if (of.imports === "–") return new Set();
  if (of.imports === "any") return new Set(all.map((other) => other.folder));
  const range = /^all of floors (\d)–(\d) but (.+)$/.exec(of.imports);
  if (range === null) return new Set(of.imports.split(" "));
  const [, low, high, but] = range;
  const barred = new Set((but ?? "").split(" "));
  const within = all.filter(({ level }) => level >= Number(low) && level <= Number(high));
  return new Set(within.map((other) => other.folder).filter((folder) => !barred.has(folder)));
}

/** The row of the table in src/README.md that says the same, its description left out. */
export function tableRow(of: Floor): string {
  return `${of.level} | \`${of.folder}/\`${of.pure ? " pure" : ""} | ${of.imports}`;
}
