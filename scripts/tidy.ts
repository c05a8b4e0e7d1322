/**
 * Tidy: the rules of this repository that no general tool knows. Floors and import cycles, file
 * headers, sizes, words with a better replacement, and where files may be. Each rule is a function
 * of the files' texts that returns faults; `main` reads the files and prints them. It never changes
 * a file. An exception is made by name, in EXCEPTIONS, with its reason.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import {
  allowedImports,
  ENTRY_FILES,
  FILE_PACKAGES,
  floorOf,
  FLOORS,
  HARNESS_FLOORS,
  NODE_MODULE_FLOORS,
  tableRow,
} from "./floors.js";
import { functionsOf, importsOf, lineAt, mask } from "./source-text.js";
import type { Import, Masked } from "./source-text.js";

export interface SourceFile {
  /** From the top of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Fault {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

interface Parsed extends SourceFile, Masked {
  readonly imports: readonly Import[];
}

type Rule = (files: readonly Parsed[]) => readonly Fault[];

const FILE_LINES_MAX = 700;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;
const FILES_WITHOUT_README_MAX = 3;
const README_LINES_MAX = 80;

const TOP_LEVEL = /^(\..+|package\.json|package-lock\.json|tsconfig\.json|README\.md|LICENSE)$/;
const TOP_FOLDERS: readonly string[] = ["src", "test", "jepsen-style", "scripts"];
const IGNORED = /^(node_modules|dist|\.git|demo-data|\.DS_Store|.+\.log)$/;
const KINDS = /\.(ts|md|json|sh|txt|edn|proto|go|html|css|svg)$|^\.[^/]+$|^\.ci\/run$|^LICENSE$/;
/** Folders of test/ that mirror no folder of src. */
const TEST_FOLDERS: readonly string[] = ["scripts", "jepsen-style", "support", "system"];

/** A rule that does not hold for a file, and why. */
const EXCEPTIONS: readonly { path: string; rule: string; why: string }[] = [
  { path: "scripts/tidy.ts", rule: "words", why: "it names the words" },
  { path: "test/scripts/tidy.test.ts", rule: "words", why: "it plants the words" },
  { path: "scripts/vitest.config.ts", rule: "words", why: "vitest reads a default export" },
  {
    path: "jepsen-style/sim/main.ts",
    rule: "words",
    why: "a command, outside of what it simulates",
  },
  {
    path: "src/gateway/base64.ts",
    rule: "words",
    why: "Node's base64 is a pure function and many times as fast as one written here",
  },
  { path: "jepsen-style/sim/campaign.ts", rule: "words", why: "it drives real processes" },
  { path: "jepsen-style/sim/worker-process.ts", rule: "words", why: "it starts them" },
  { path: "jepsen-style/sim/bench.ts", rule: "words", why: "it measures real time" },
  { path: "jepsen-style/sim/worker.ts", rule: "words", why: "it is such a process" },
  { path: "jepsen-style/sim/mutant-loader.ts", rule: "words", why: "it works in such a process" },
  { path: "jepsen-style/sim/world.ts", rule: "words", why: "it drives the real event loop" },
  { path: "jepsen-style/sim/simulate.ts", rule: "words", why: "it hears of unheard rejections" },
  { path: "jepsen-style/sim/memory-disk.ts", rule: "words", why: "tests use it without a world" },
];

interface BannedWord {
  readonly pattern: RegExp;
  /** Where it is looked for: code alone, or comments and strings too. */
  readonly over: "code" | "text";
  readonly where: (path: string) => boolean;
  readonly instead: string;
}

const anywhere = (): boolean => true;
const typeScript = (path: string): boolean => path.endsWith(".ts");
const isPure = (path: string): boolean => floorOf(path)?.pure === true;
/** Code that must ask env for time, chance and the outside. */
const underEnv = (path: string): boolean =>
  (path.startsWith("src/") && !["env/node", "cli"].includes(floorOf(path)?.folder ?? "")) ||
  /^jepsen-style\/(sim|workloads|checkers)\//.test(path);
const unlessTest = (path: string): boolean => !path.startsWith("test/");

const BANNED_WORDS: readonly BannedWord[] = [
  {
    pattern: /\b(FIXME|TODO|XXX)\b/g,
    over: "text",
    where: anywhere,
    instead: "finish it, or say what is as it is",
  },
  { pattern: /\bDate\.now\b/g, over: "code", where: underEnv, instead: "env.clock" },
  { pattern: /\bnew Date\b/g, over: "code", where: underEnv, instead: "env.clock" },
  { pattern: /\bperformance\.now\b/g, over: "code", where: underEnv, instead: "env.clock" },
  { pattern: /\bMath\.random\b/g, over: "code", where: underEnv, instead: "base/prng, env.random" },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate)\b/g,
    over: "code",
    where: underEnv,
    instead: "env.timers",
  },
  { pattern: /(?<![.\w])process\./g, over: "code", where: underEnv, instead: "a setting or env" },
  { pattern: /\bconsole\./g, over: "code", where: underEnv, instead: "env.tracer" },
  {
    pattern: /\b(async|await|Promise)\b/g,
    over: "code",
    where: isPure,
    instead: "a value: this floor is pure",
  },
  {
    pattern: /\bBuffer\b/g,
    over: "code",
    where: (path) => path.startsWith("src/") && floorOf(path)?.folder !== "env/node",
    instead: "Uint8Array",
  },
  { pattern: /\bexport default\b/g, over: "code", where: typeScript, instead: "a named export" },
  {
    pattern: /\benum\s+\w+\s*\{/g,
    over: "code",
    where: typeScript,
    instead: "a union of literals, or a table `as const`",
  },
  {
    pattern: /(?<![\w.\-\])}])\/(work|root|tmp)(?![\w-])/g,
    over: "text",
    where: unlessTest,
    instead: "a path that every machine has: an argument, os.tmpdir(), mktemp",
  },
  {
    pattern: /https?:\/\/(registry|npm|packages?|artifactory|nexus)[\w-]*\.[\w.-]+/g,
    over: "text",
    where: anywhere,
    instead: "the registry that npm is configured for",
  },
];

function fault(path: string, line: number, rule: string, message: string): Fault {
  return { path, line, rule, message };
}

function sources(files: readonly Parsed[]): readonly Parsed[] {
  return files.filter((file) => typeScript(file.path));
}

const floors: Rule = (files) => {
  const found: Fault[] = [];
  for (const file of sources(files)) {
    const at = floorOf(file.path);
    if (file.path.startsWith("src/") && at === undefined) {
      found.push(fault(file.path, 1, "floors", "belongs to no floor of scripts/floors.ts"));
    }
    for (const { line, from } of file.imports) {
      const message = importFault(file.path, from);
      if (message !== undefined) found.push(fault(file.path, line, "floors", message));
    }
  }
  return found;
};

/** What is wrong with `path` importing `from`, if anything is. */
function importFault(path: string, from: string): string | undefined {
  const at = floorOf(path);
  if (!from.startsWith(".")) {
    return at === undefined ? undefined : packageFault(path, from);
  }
  if (!/\.(js|json)$/.test(from)) return `"${from}" lacks its .js`;
  const target = resolveImport(path, from);
  const [top = ""] = target.split("/");
  const own = path.split("/")[0];
  if (own === "src" && top !== "src") return `src never imports ${top}`;
  if (own !== "test" && top === "test") return `only tests import test`;
  const to = floorOf(target);
  if (to === undefined) return undefined;
  if (at !== undefined) return floorFault(path, to.folder);
  const harness = own === "jepsen-style" ? HARNESS_FLOORS[path.split("/")[1] ?? ""] : undefined;
  if (harness === undefined || harness.includes(to.folder)) return undefined;
  return `${posix.dirname(path)} imports only ${harness.join(" ")}, not ${to.folder}`;
}

function floorFault(path: string, to: string): string | undefined {
  const at = floorOf(path);
  if (at === undefined || at.folder === to) return undefined;
  if (to === "env/node") {
    return ENTRY_FILES.includes(path) ? undefined : "only entry files choose env/node";
  }
  if (allowedImports(at).has(to)) return undefined;
  return `${at.folder} imports ${at.imports}, not ${to}`;
}

function packageFault(path: string, from: string): string | undefined {
  const at = floorOf(path);
  if (at === undefined) return undefined;
  if (FILE_PACKAGES.some((one) => one.path === path && one.imports === from)) return undefined;
  if (from.startsWith("node:")) {
    return NODE_MODULE_FLOORS.includes(at.folder) ? undefined : `${from}: ask env for it`;
  }
  const name = from
    .split("/")
    .slice(0, from.startsWith("@") ? 2 : 1)
    .join("/");
  return at.packages.includes(name) ? undefined : `${at.folder} does not use the package ${name}`;
}

function resolveImport(path: string, from: string): string {
  return posix.join(posix.dirname(path), from).replace(/\.js$/, ".ts");
}

/** Depth first over the imports; an import of a file that is still being visited closes a cycle. */
const cycles: Rule = (files) => {
  const byPath = new Map(sources(files).map((file) => [file.path, file]));
  const done = new Set<string>();
  const trail: string[] = [];
  const found: Fault[] = [];
  const visit = (file: Parsed): void => {
    trail.push(file.path);
    for (const { line, from } of file.imports) {
      const target = byPath.get(from.startsWith(".") ? resolveImport(file.path, from) : "");
      if (target === undefined || done.has(target.path)) continue;
      const start = trail.indexOf(target.path);
      if (start < 0) visit(target);
      else {
        const circle = [...trail.slice(start), target.path].join(" → ");
        found.push(fault(file.path, line, "cycles", circle));
      }
    }
    trail.pop();
    done.add(file.path);
  };
  for (const file of byPath.values()) if (!done.has(file.path)) visit(file);
  return found;
};

const headers: Rule = (files) =>
  files
    .filter(({ path, text }) => {
      if (typeScript(path)) return !/^(#!.*\n)?\/\*\*[\s\S]*?\w/.test(text);
      return path.endsWith(".sh") && !/^#.*\n# \w/.test(text);
    })
    .map(({ path }) => fault(path, 1, "headers", "starts without a comment that says what it is"));

const sizes: Rule = (files) => {
  const found: Fault[] = [];
  for (const { path, text, code } of files) {
    if (!/\.(ts|sh)$/.test(path)) continue;
    const lines = text.replace(/\n$/, "").split("\n");
    if (lines.length > FILE_LINES_MAX) {
      found.push(fault(path, 1, "sizes", `${lines.length} lines, more than ${FILE_LINES_MAX}`));
    }
    lines.forEach((line, index) => {
      if (Array.from(line).length > COLUMNS_MAX && !mayBeLong(line)) {
        found.push(fault(path, index + 1, "sizes", `more than ${COLUMNS_MAX} columns`));
      }
    });
    if (typeScript(path) && unlessTest(path)) found.push(...longFunctions(path, code));
  }
  return found;
};

/** A line that is hardly more than one string, an address, or a row of a table. */
function mayBeLong(line: string): boolean {
  return /https?:\/\//.test(line) || /^\s*(\/?\*\s*)?\|/.test(line) || /(["'`]).{70,}\1/.test(line);
}

function longFunctions(path: string, code: string): readonly Fault[] {
  return functionsOf(code)
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
    .map(({ line, head, lines }) =>
      fault(path, line, "sizes", `${lines} lines in ${head.slice(0, 40)}`),
    );
}

const words: Rule = (files) => {
  const found: Fault[] = [];
  for (const file of files) {
    for (const word of BANNED_WORDS) {
      if (!word.where(file.path)) continue;
      const over = word.over === "code" ? file.code : file.text;
      for (const match of over.matchAll(word.pattern)) {
        const message = `${match[0].trim()}: use instead ${word.instead}`;
        found.push(fault(file.path, lineAt(over, match.index), "words", message));
      }
    }
  }
  return found;
};

const places: Rule = (files) => {
  const found: Fault[] = [];
  for (const { path } of files) {
    const [top = "", second = "", ...deeper] = path.split("/");
    if (second === "" ? !TOP_LEVEL.test(top) : !TOP_FOLDERS.includes(top) && top[0] !== ".") {
      found.push(fault(path, 1, "places", "does not belong at the top of the repository"));
    }
    if (!KINDS.test(path)) found.push(fault(path, 1, "places", "is of an unknown kind"));
    if (top === "test" && !mirrorsSource(second, deeper)) {
      found.push(fault(path, 1, "places", "test mirrors src: no such folder there"));
    }
  }
  return found;
};

function mirrorsSource(folder: string, deeper: readonly string[]): boolean {
  if (deeper.length === 0) return false;
  return TEST_FOLDERS.includes(folder) || FLOORS.some((one) => one.folder === folder);
}

const readmes: Rule = (files) => {
  const found: Fault[] = [];
  const folders = new Set(files.map(({ path }) => /^src\/[^/]+(?=\/)/.exec(path)?.[0] ?? ""));
  folders.delete("");
  for (const folder of folders) {
    const inside = files.filter(({ path }) => path.startsWith(`${folder}/`));
    const readme = inside.find(({ path }) => path === `${folder}/README.md`);
    const count = inside.filter(({ path }) => typeScript(path)).length;
    if (readme === undefined && count > FILES_WITHOUT_README_MAX) {
      found.push(fault(`${folder}/README.md`, 1, "readmes", `missing beside ${count} files`));
    }
    const lines = readme?.text.trimEnd().split("\n").length ?? 0;
    if (lines > README_LINES_MAX) {
      found.push(fault(`${folder}/README.md`, 1, "readmes", `${lines} lines, more than a page`));
    }
  }
  const architecture = files.find(({ path }) => path === "src/README.md");
  return architecture === undefined ? found : [...found, ...tableFaults(architecture)];
};

/** The floors as src/README.md has them must be the floors as scripts/floors.ts has them. */
function tableFaults({ path, text }: SourceFile): readonly Fault[] {
  const found: Fault[] = [];
  const written = new Map<string, number>();
  for (const match of text.matchAll(/^\|\s*(\d)\s*\|\s*([^|]+?)\s*\|[^|]*\|\s*([^|]+?)\s*\|$/gm)) {
    const [, level = "", folder = "", imports = ""] = match;
    written.set(`${level} | ${folder} | ${imports}`, lineAt(text, match.index));
  }
  // The folder env/node is described within the row of env.
  const expected = new Set(FLOORS.filter((one) => one.folder !== "env/node").map(tableRow));
  for (const [row, line] of written) {
    if (!expected.has(row)) found.push(fault(path, line, "readmes", `not in floors.ts: ${row}`));
  }
  for (const row of expected) {
    if (!written.has(row)) found.push(fault(path, 1, "readmes", `the table lacks: ${row}`));
  }
  return found;
}

const RULES: readonly Rule[] = [floors, cycles, headers, sizes, words, places, readmes];

/** Every fault in these files, in order of place. */
export function faultsIn(files: readonly SourceFile[]): readonly Fault[] {
  const parsed = files.map((file): Parsed => {
    const masked = typeScript(file.path) ? mask(file.text) : { code: "", uncommented: "" };
    return { ...file, ...masked, imports: typeScript(file.path) ? importsOf(masked) : [] };
  });
  return RULES.flatMap((rule) => rule(parsed))
    .filter((one) => !EXCEPTIONS.some(({ path, rule }) => path === one.path && rule === one.rule))
    .toSorted((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}

/** All files below `root` but those that tools made. */
export function readTree(root: string, folder = ""): SourceFile[] {
  const found: SourceFile[] = [];
  for (const entry of readdirSync(`${root}/${folder}`, { withFileTypes: true })) {
    if (IGNORED.test(entry.name)) continue;
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) found.push(...readTree(root, `${path}/`));
    else found.push({ path, text: readFileSync(`${root}/${path}`, "utf8") });
  }
  return found;
}

function main(): void {
  const files = readTree(process.cwd());
  const faults = faultsIn(files);
  for (const { path, line, rule, message } of faults) {
    console.log(`${path}:${line} ${rule}: ${message}`);
  }
  console.log(`tidy: ${files.length} files, ${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
