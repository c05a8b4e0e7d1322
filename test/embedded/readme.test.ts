/** The package by its own name, with the workers that it starts itself. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";

const BACKUP = `
import { checkBackup, openStore, restoreStore } from "flotilla-kv/store";
const store = await openStore("from", { memtableBytesMax: 64 * 1024 });
for (let i = 0; i < 300; i++) await store.put("key" + i, "v".repeat(1000), { sync: false });
await store.backup("backups");
await store.close();
await checkBackup("backups");
await restoreStore("backups", "to");
const restored = await openStore("to");
console.log([...restored.range()].length);
await restored.close();
`;

/** What a program prints that imports the package. */
function outputOf(program: string): string {
  // A package can be imported by its name from its own folder.
  const script = resolve("dist", `example-${process.pid}.mjs`);
  const directory = mkdtempSync(join(tmpdir(), "flotilla-example-"));
  try {
    writeFileSync(script, program);
    return execFileSync(process.execPath, [script], { cwd: directory, encoding: "utf8" });
  } finally {
    rmSync(script, { force: true });
    rmSync(directory, { recursive: true, force: true });
  }
}

test("the example of the README prints what it says", () => {
  const readme = readFileSync("src/embedded/README.md", "utf8");
  const example = /```js\n([\s\S]+?)```/.exec(readme)?.[1] ?? "";
  expect(example.trim().split("\n")).toHaveLength(11);
  expect(outputOf(example)).toBe("cherry dark\nbanana yellow\n");
});

test("a backup is made, checked and restored", () => {
  expect(outputOf(BACKUP)).toBe("300\n");
});
