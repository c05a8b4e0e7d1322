/** Diagnostics go somewhere, whatever the process lacks. */
import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { nodeTracer } from "../../src/env/node/node-tracer.js";

test("a line whose file cannot be opened goes to stderr, and nobody notices", () => {
  const lines: string[] = [];
  const write = vi.spyOn(fs, "writeSync").mockImplementation((_file, text) => {
    lines.push(String(text));
    return lines.length;
  });
  const tracer = nodeTracer({ file: "/none/such/file", fields: { node: "n1" } });
  tracer.trace("error", "store failed", { path: "p" });
  tracer.trace("debug", "left out");
  write.mockRestore();
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    node: "n1",
    level: "error",
    message: "store failed",
    path: "p",
    error: expect.stringContaining("ENOENT"),
  });
});
