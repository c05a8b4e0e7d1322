/**
 * Tidy must find what it is there to find: each test plants one fault in an otherwise clean tree
 * and expects exactly that one, and the near misses beside it to pass.
 */
import { describe, expect, test } from "vitest";
import { allowedImports, FLOORS, floorOf, tableRow } from "../../scripts/floors.js";
import { faultsIn } from "../../scripts/tidy.js";
import type { SourceFile } from "../../scripts/tidy.js";

const HEADER = "/** A file for a test. */\n";

function file(path: string, body = "export const one = 1;\n"): SourceFile {
  return { path, text: HEADER + body };
}

/** The faults as "path:line rule", so that a test reads as a list of places. */
function places(...files: readonly SourceFile[]): readonly string[] {
  return faultsIn(files).map(({ path, line, rule }) => `${path}:${line} ${rule}`);
}

function messages(...files: readonly SourceFile[]): string {
  return faultsIn(files)
    .map(({ message }) => message)
    .join("\n");
}

function lines(count: number): string {
  return "  one();\n".repeat(count);
}

test("a clean tree has no faults", () => {
  expect(
    places(
      file("src/base/a.ts"),
      file("src/lsm/b.ts", 'import { one } from "../base/a.js";\n'),
      file("test/lsm/b.test.ts", 'import { b } from "../../src/lsm/b.js";\n'),
      { path: "package.json", text: "{}" },
      { path: ".ci/run", text: "#!/usr/bin/env bash\n" },
      { path: "scripts/demo.sh", text: "#!/usr/bin/env bash\n# Shows something.\n" },
    ),
  ).toEqual([]);
});

describe("floors", () => {
  test("an import of a higher floor", () => {
    const planted = file("src/raft/a.ts", 'import type { Lsm } from "../lsm/tree.js";\n');
    expect(places(planted)).toEqual(["src/raft/a.ts:2 floors"]);
    expect(messages(planted)).toBe("raft imports base, not lsm");
  });

  test("an import over several lines, a re-export and an import()", () => {
    expect(
      places(file("src/raft/a.ts", 'import {\n  one,\n  two,\n} from "../lsm/tree.js";\n')),
    ).toEqual(["src/raft/a.ts:2 floors"]);
    expect(places(file("src/raft/a.ts", 'export { one } from "../lsm/tree.js";\n'))).toHaveLength(
      1,
    );
    expect(places(file("src/raft/a.ts", 'type T = import("../lsm/tree.js").T;\n'))).toHaveLength(1);
  });

  test("an import that is only spoken of is none", () => {
    const spoken =
      '// import { one } from "../lsm/tree.js";\nconst s = `\nimport "../lsm/a.js";`;\n';
    expect(places(file("src/raft/a.ts", spoken))).toEqual([]);
  });

  test("env/node is for entry files", () => {
    const body = 'import { nodeEnv } from "../env/node/node-env.js";\n';
    expect(places(file("src/store/store.ts", body))).toEqual(["src/store/store.ts:2 floors"]);
    expect(places(file("src/embedded/index.ts", body))).toEqual([]);
  });

  test("node: modules and packages where they are not listed", () => {
    const reads = 'import { readFileSync } from "node:fs";\n';
    expect(places(file("src/lsm/a.ts", reads))).toEqual(["src/lsm/a.ts:2 floors"]);
    expect(places(file("src/env/node/a.ts", reads))).toEqual([]);
    const crc = 'import { crc32 } from "node:zlib";\n';
    expect(places(file("src/base/checksum.ts", crc))).toEqual([]);
    expect(places(file("src/base/other.ts", crc))).toEqual(["src/base/other.ts:2 floors"]);
    const pack = 'import { pack } from "msgpackr";\n';
    expect(places(file("src/rpc/a.ts", pack), file("src/lsm/a.ts", pack))).toEqual([
      "src/lsm/a.ts:2 floors",
    ]);
  });

  test("src never imports what attacks or tests it", () => {
    const body = 'import { one } from "../../jepsen-style/sim/a.js";\n';
    expect(places(file("src/cli/a.ts", body))).toEqual(["src/cli/a.ts:2 floors"]);
    const testing = 'import { one } from "../../test/support/a.js";\n';
    expect(places(file("jepsen-style/sim/a.ts", testing))).toHaveLength(1);
  });

  test("checkers see a cluster as a client does", () => {
    const body = 'import { Raft } from "../../src/raft/raft.js";\n';
    expect(places(file("jepsen-style/checkers/a.ts", body))).toHaveLength(1);
    expect(places(file("jepsen-style/sim/a.ts", body))).toEqual([]);
  });

  test("a folder that is no floor", () => {
    expect(places(file("src/utilities/a.ts"))).toEqual(["src/utilities/a.ts:1 floors"]);
  });

  test("a relative import without .js", () => {
    expect(places(file("src/base/a.ts", 'import { b } from "./b";\n'))).toHaveLength(1);
  });

  test("the table's words mean what they say", () => {
    const allowed = (path: string): string[] => {
      const floor = floorOf(path);
      return floor === undefined ? [] : [...allowedImports(floor)];
    };
    expect(allowed("src/base/a.ts")).toEqual([]);
    expect(allowed("src/lsm/a.ts")).toEqual(["base", "env", "log"]);
    expect(allowed("src/node/a.ts")).toContain("shard");
    expect(allowed("src/node/a.ts")).not.toContain("client");
    expect(allowed("src/node/a.ts")).not.toContain("gateway");
    expect(allowed("src/cli/a.ts")).toContain("gateway");
    expect(floorOf("src/env/node/a.ts")?.folder).toBe("env/node");
  });
});

describe("cycles", () => {
  test("a circle of three is reported once, with its path", () => {
    const circle = [
      file("src/raft/a.ts", 'import { b } from "./b.js";\n'),
      file("src/raft/b.ts", 'import { c } from "./c.js";\n'),
      file("src/raft/c.ts", 'import { a } from "./a.js";\n'),
    ];
    expect(messages(...circle)).toBe(
      "src/raft/a.ts → src/raft/b.ts → src/raft/c.ts → src/raft/a.ts",
    );
  });

  test("two ways to one file are no circle", () => {
    expect(
      places(
        file("src/raft/a.ts", 'import { b } from "./b.js";\nimport { c } from "./c.js";\n'),
        file("src/raft/b.ts", 'import { c } from "./c.js";\n'),
        file("src/raft/c.ts"),
      ),
    ).toEqual([]);
  });
});

describe("headers and sizes", () => {
  test("a file without a header", () => {
    expect(places({ path: "src/base/a.ts", text: "export const one = 1;\n" })).toEqual([
      "src/base/a.ts:1 headers",
    ]);
    expect(places({ path: "scripts/a.sh", text: "#!/usr/bin/env bash\nset -e\n" })).toEqual([
      "scripts/a.sh:1 headers",
    ]);
    const shebang = { path: "src/cli/a.ts", text: `#!/usr/bin/env node\n${HEADER}` };
    expect(places(shebang)).toEqual([]);
  });

  test("a file of more than 700 lines", () => {
    expect(places(file("src/base/a.ts", lines(699)))).toEqual([]);
    expect(places(file("src/base/a.ts", lines(700)))).toEqual(["src/base/a.ts:1 sizes"]);
  });

  test.each([
    ["a function", "function f(a: string): void {\n"],
    ["a method", "class A {\n  f(a: string): ReadonlyMap<string, number> {\n"],
    ["an arrow", "const f = (a: string): void => {\n"],
    ["a function that returns a literal type", "function f(): { a: number }[] {\n"],
    ["a parameter of a literal type", "function f(a: { b: number }): void {\n"],
    ["a head over several lines", "function f(\n  a: string,\n): asserts a is B {\n"],
  ])("%s of more than 70 lines", (_, head) => {
    const closers = "}\n".repeat(head.startsWith("class") ? 2 : 1);
    const headLines = head.split("\n").length - 1 - (head.startsWith("class") ? 1 : 0);
    const fits = head + lines(70 - headLines - 1) + closers;
    const tooLong = head + lines(70 - headLines) + closers;
    expect(places(file("scripts/a.ts", fits))).toEqual([]);
    expect(places(file("scripts/a.ts", tooLong))).toHaveLength(1);
  });

  test("blank lines, comments, and braces in strings do not count", () => {
    const body = lines(34) + "\n  // Why. {\n".repeat(40) + lines(34);
    expect(places(file("scripts/a.ts", `function f(): void {\n${body}}\n`))).toEqual([]);
    const tricky = 'const a = "{"; const b = /[{/]{/; const c = `${a}{`;\n';
    expect(places(file("scripts/a.ts", `function f(): void {\n${tricky}}\n${lines(100)}`))).toEqual(
      [],
    );
  });

  test("long blocks that are no functions", () => {
    for (const head of [
      "class A {",
      "if (a) {",
      "const a = {",
      "switch (f(a)) {",
      "interface I {",
    ]) {
      expect(places(file("scripts/a.ts", `${head}\n${lines(90)}}\n`))).toEqual([]);
    }
  });

  test("a line of more than 100 columns, unless it is one string, an address or a table", () => {
    const long = "a".repeat(101);
    expect(places(file("src/base/a.ts", `const ${long} = 1;\n`))).toEqual([
      "src/base/a.ts:2 sizes",
    ]);
    expect(places(file("src/base/a.ts", `const a = "${long}";\n`))).toEqual([]);
    expect(places(file("src/base/a.ts", `// https://example.org/${long}\n`))).toEqual([]);
    expect(places(file("src/base/a.ts", `// | ${long} |\n`))).toHaveLength(1);
    expect(places(file("src/base/a.ts", `/*\n * | ${long} |\n */\n`))).toEqual([]);
  });
});

describe("words", () => {
  test.each([
    ["src/lsm/a.ts", "// FIXME: later"],
    ["src/lsm/a.ts", "// TODO"],
    ["src/lsm/a.ts", "const now = Date.now();"],
    ["src/lsm/a.ts", "const now = new Date();"],
    ["src/lsm/a.ts", "const now = performance.now();"],
    ["src/lsm/a.ts", "const chance = Math.random();"],
    ["jepsen-style/sim/a.ts", "const chance = Math.random();"],
    ["src/lsm/a.ts", "setTimeout(f, 1);"],
    ["src/lsm/a.ts", "const cores = process.env;"],
    ["src/lsm/a.ts", "console.log(1);"],
    ["src/lsm/a.ts", "const b = Buffer.alloc(1);"],
    ["src/raft/a.ts", "async function f() {}"],
    ["src/raft/a.ts", "let p: Promise<void>;"],
    ["src/lsm/a.ts", "export default 1;"],
    ["src/lsm/a.ts", "enum Kind { A }"],
    ["src/lsm/a.ts", 'const path = "/tmp/data";'],
    ["scripts/a.ts", "const path = `/work/main`;"],
    ["scripts/a.ts", "// See https://registry.npmjs.org/pino"],
  ])("in %s: %s", (path, line) => {
    expect(places(file(path, `${line}\n`))).toEqual([`${path}:2 words`]);
  });

  test.each([
    ["src/env/node/a.ts", "const now = Date.now(); const b = Buffer.alloc(1); process.exit();"],
    ["src/cli/a.ts", "console.log(process.argv, Date.now());"],
    ["src/lsm/a.ts", "async function f(): Promise<void> {}"],
    ["src/lsm/a.ts", 'const text = "Date.now() and console.log";'],
    ["src/lsm/a.ts", "// Never Math.random: a run must be repeatable."],
    ["src/lsm/a.ts", "this.process.run(); const sharedBuffer = 1; const enumeration = {};"],
    ["test/lsm/a.test.ts", 'const path = "/tmp/data";'],
    ["scripts/a.ts", 'const path = "jepsen-style/workloads"; const other = "../work/x";'],
  ])("not in %s: %s", (path, line) => {
    expect(places(file(path, `${line}\n`))).toEqual([]);
  });
});

describe("places and readmes", () => {
  test("strangers at the top, unknown kinds, tests of nothing", () => {
    expect(places({ path: "vitest.config.ts", text: HEADER })).toEqual([
      "vitest.config.ts:1 places",
    ]);
    expect(places({ path: "docs/a.md", text: "" })).toEqual(["docs/a.md:1 places"]);
    expect(places({ path: "src/base/a.py", text: "" })).toEqual(["src/base/a.py:1 places"]);
    expect(places(file("test/a.test.ts"))).toEqual(["test/a.test.ts:1 places"]);
    expect(places(file("test/kitchen/a.test.ts"))).toEqual(["test/kitchen/a.test.ts:1 places"]);
  });

  test("a folder of more than three files needs a page that introduces it", () => {
    const four = ["a", "b", "c", "d"].map((name) => file(`src/lsm/${name}.ts`));
    expect(places(...four)).toEqual(["src/lsm/README.md:1 readmes"]);
    expect(places(...four, { path: "src/lsm/README.md", text: "# lsm\n" })).toEqual([]);
    expect(places(...four, { path: "src/lsm/README.md", text: "a\n".repeat(81) })).toHaveLength(1);
  });

  test("the table of src/README.md is the table of floors.ts", () => {
    const rows = FLOORS.filter(({ folder }) => folder !== "env/node").map((floor) => {
      const [level, folder, imports] = tableRow(floor).split(" | ");
      return `| ${level} | ${folder} | what it is | ${imports} |`;
    });
    const table = (all: readonly string[]): SourceFile => ({
      path: "src/README.md",
      text: `| Floor | Folder | What | Imports |\n| --- | --- | --- | --- |\n${all.join("\n")}\n`,
    });
    expect(places(table(rows))).toEqual([]);
    expect(messages(table(rows.slice(1)))).toBe("the table lacks: 0 | `base/` pure | –");
    const changed = rows.map((row) => row.replace("| base env log |", "| base env |"));
    expect(messages(table(changed))).toContain("not in floors.ts: 3 | `lsm/` | base env");
  });
});
