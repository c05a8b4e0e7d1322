/** The example in the README runs as it stands, by the package's own name. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";

test("the example of the README prints what it says", () => {
  const readme = readFileSync("src/embedded/README.md", "utf8");
  const example = /```js\n([\s\S]+?)```/.exec(readme)?.[1] ?? "";
  expect(example.trim().split("\n")).toHaveLength(11);
  // A package can be imported by its name from its own folder.
  const script = resolve("dist", `example-${process.pid}.mjs`);
  const directory = mkdtempSync(join(tmpdir(), "flotilla-example-"));
  try {
    writeFileSync(script, example);
    const output = execFileSync(process.execPath, [script], { cwd: directory, encoding: "utf8" });
    expect(output).toBe("cherry dark\nbanana yellow\n");
  } finally {
    rmSync(script, { force: true });
    rmSync(directory, { recursive: true, force: true });
  }
});
