/** import, verify and export: against real files and a store in memory. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { equalBytes, utf8 } from "../../src/base/bytes.js";
import { runBounded } from "../../src/cli/bounded-pool.js";
import { relativePathOf } from "../../src/cli/files.js";
import { renderProgress } from "../../src/cli/progress.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { FakeClient } from "./fake-client.js";
import { flotctl } from "./run.js";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotctl-test-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
  }
}

function unknown(): KvError {
  return new KvError("timeout", "no answer", "unknown");
}

const MIB = 1024 * 1024;

describe("import", () => {
  test("stores every file under its relative path, byte for byte", async () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, at) => at % 256);
    write({ "a.txt": "hello", "sub/deep/b.bin": bytes, "sub/empty": "", "grün.txt": "ü" });
    const { code, out, client } = await flotctl(["import", "--from-dir", directory]);
    expect(code).toBe(0);
    expect([...client.entries.keys()].sort()).toEqual([
      "a.txt",
      "grün.txt",
      "sub/deep/b.bin",
      "sub/empty",
    ]);
    expect(equalBytes(client.entries.get("sub/deep/b.bin")!.value, bytes)).toBe(true);
    expect(out).toMatch(
      /^imported 4 files, 307 B in \S+: acknowledged 4, unknown 0, failed 0, skipped 0\n$/,
    );
  });

  test("takes 1 MiB, skips more, says so by exit code; links are only counted", async () => {
    write({ fits: new Uint8Array(MIB), large: new Uint8Array(MIB + 1) });
    symlinkSync(join(directory, "fits"), join(directory, "link"));
    const { code, out, err, client } = await flotctl(["import", "--from-dir", directory]);
    expect(code).toBe(1);
    expect([...client.entries.keys()]).toEqual(["fits"]);
    expect(out).toContain("skipped 2 (");
    expect(out).toContain("1 too large");
    expect(err).toContain("skipped large: larger than 1 MiB");
    rmSync(join(directory, "large"));
    expect((await flotctl(["import", "--from-dir", directory])).code).toBe(0);
  });

  test("a keyspace that is not there is one failure, before any file", async () => {
    write({ a: "1", b: "2" });
    const args = ["import", "--from-dir", directory, "--keyspace", "nofiles"];
    const { code, out, err, client } = await flotctl(args);
    expect([code, out, client.requests]).toEqual([1, "", []]);
    expect(err).toBe('Error: there is no keyspace "nofiles"\n  next: flotctl keyspace list\n');
  });

  test("retries an unknown outcome, and reports it", async () => {
    write({ a: "1", b: "2" });
    const client = new FakeClient();
    client.faults.set("a", [
      { error: unknown(), applied: true },
      { error: notApplied("unavailable", "no leader"), applied: false },
    ]);
    const ran = await flotctl(["import", "--from-dir", directory, "-w", "json"], { client });
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out)).toMatchObject({
      acknowledged: 2,
      retriedUnknown: 1,
      unknown: 0,
      failed: 0,
    });
    expect(client.requests.filter((request) => request === "put a")).toHaveLength(3);
  });

  test("a file that stays unknown is no failed one: exit code 7", async () => {
    write({ a: "1" });
    const client = new FakeClient();
    client.faults.set(
      "a",
      Array.from({ length: 20 }, () => ({ error: unknown(), applied: false })),
    );
    const args = ["import", "--from-dir", directory, "--retry-timeout", "200ms"];
    const { code, out, err } = await flotctl(args, { client });
    expect(code).toBe(7);
    expect(out).toContain("unknown 1, failed 0");
    expect(err).toContain("unknown a: it may have been stored");
  });

  test("what can never succeed is not retried, the rest goes on", async () => {
    write({ a: "1", b: "2" });
    const client = new FakeClient();
    client.faults.set("a", [{ error: notApplied("noSpace", "the disk is full"), applied: false }]);
    const { code, out, err } = await flotctl(["import", "--from-dir", directory], { client });
    expect(code).toBe(1);
    expect(out).toContain("acknowledged 1, unknown 0, failed 1");
    expect(err).toContain("failed a: the disk is full");
  });

  test("an unknown outcome before a final refusal stays unknown", async () => {
    write({ a: "1" });
    const client = new FakeClient();
    client.faults.set("a", [
      { error: unknown(), applied: false },
      { error: notApplied("noSpace", "the disk is full"), applied: false },
    ]);
    expect((await flotctl(["import", "--from-dir", directory], { client })).code).toBe(7);
  });

  test("at most 64 files are on their way", async () => {
    write(Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`f${at}`, "x"])));
    const { client, code } = await flotctl(["import", "--from-dir", directory]);
    expect(code).toBe(0);
    expect(client.entries.size).toBe(200);
    expect(client.inFlightMax).toBeGreaterThan(16);
    expect(client.inFlightMax).toBeLessThanOrEqual(64);
  });

  test("lists what was acknowledged, and verify can go by the list", async () => {
    write({ a: "1", b: "2", "c\nd": "3" });
    const client = new FakeClient();
    client.faults.set("b", [{ error: notApplied("noSpace", "full"), applied: false }]);
    const list = `${directory}.keys`;
    const imported = ["import", "--from-dir", directory, "--acknowledged", list];
    expect((await flotctl(imported, { client })).code).toBe(1);
    expect(readFileSync(list, "utf8").split("\n").sort()).toEqual(["", '"c\\nd"', "a"]);
    const all = await flotctl(["verify", "--from-dir", directory], { client });
    expect([all.code, all.out.split("\n")[0]]).toEqual([1, "missing b"]);
    const listed = ["verify", "--from-dir", directory, "--acknowledged", list];
    expect((await flotctl(listed, { client })).code).toBe(0);
    rmSync(list);
  });

  test("interrupted, it ends what it began and says what was not tried", async () => {
    write(Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`f${at}`, "x"])));
    const client = new FakeClient();
    const put = client.put.bind(client);
    let interrupt: (() => void) | undefined;
    client.put = (key, value) => {
      interrupt?.();
      interrupt = undefined;
      return put(key, value);
    };
    const { code, out } = await flotctl(["import", "--from-dir", directory], {
      client,
      meanwhile: (terminal) => {
        interrupt = () => terminal.interrupt();
      },
    });
    expect(code).toBe(5);
    const [, acknowledged, notTried] = /acknowledged (\d+),.*not tried (\d+)/.exec(out) ?? [];
    expect(Number(acknowledged)).toBe(client.entries.size);
    expect(Number(acknowledged) + Number(notTried)).toBe(200);
    expect(Number(notTried)).toBeGreaterThan(0);
  });

  test("needs a directory", async () => {
    expect((await flotctl(["import"])).code).toBe(128);
    expect((await flotctl(["import", "--from-dir", join(directory, "none")])).code).toBe(6);
  });
});

describe("verify", () => {
  test("tells identical, missing and different apart", async () => {
    write({ same: "1", gone: "2", changed: "abc", shorter: "abc", "empty-one": "" });
    const client = new FakeClient();
    client.seed({ same: "1", changed: "abX", shorter: "ab", "empty-one": "" });
    const { code, out } = await flotctl(["verify", "--from-dir", directory], { client });
    expect(code).toBe(1);
    const lines = out.split("\n");
    expect(lines.slice(0, 3).sort()).toEqual([
      "different changed (from byte 2 on; 3 bytes in the file, 3 stored)",
      "different shorter (from byte 2 on; 3 bytes in the file, 2 stored)",
      "missing gone",
    ]);
    expect(lines[3]).toContain("identical 2, missing 1, different 2, unreadable 0");
    write({ changed: "abX", shorter: "ab" });
    rmSync(join(directory, "gone"));
    expect((await flotctl(["verify", "--from-dir", directory], { client })).code).toBe(0);
  });

  test("a key that cannot be read is no missing one", async () => {
    write({ a: "1" });
    const client = new FakeClient();
    const error = notApplied("noSpace", "broken");
    client.faults.set("a", [{ error, applied: false }]);
    const { code, out } = await flotctl(["verify", "--from-dir", directory], { client });
    expect(code).toBe(1);
    expect(out).toContain("unreadable a (broken)");
    expect(out).toContain("missing 0");
  });
});

describe("export", () => {
  test("gives back what was imported", async () => {
    write({ "a.txt": "1", "d/e/f": "2" });
    const { client } = await flotctl(["import", "--from-dir", directory]);
    const copy = join(directory, "copy");
    const { code, out } = await flotctl(["export", "--to-dir", copy], { client });
    expect([code, out.startsWith("exported 2 files, 2 B in ")]).toEqual([0, true]);
    expect(readFileSync(join(copy, "d/e/f"), "utf8")).toBe("2");
  });

  test("never writes outside of the directory, nor through a link", async () => {
    const client = new FakeClient();
    client.seed({ "../evil": "x", "/abs": "x", "a//b": "x", "a/./b": "x", good: "y", link: "z" });
    const copy = join(directory, "in", "copy");
    mkdirSync(copy, { recursive: true });
    writeFileSync(join(directory, "target"), "untouched");
    symlinkSync(join(directory, "target"), join(copy, "link"));
    const { code, out } = await flotctl(["export", "--to-dir", copy], { client });
    expect(code).toBe(1);
    expect(out).toContain("skipped 4, failed 1");
    expect(readFileSync(join(copy, "good"), "utf8")).toBe("y");
    expect(readFileSync(join(directory, "target"), "utf8")).toBe("untouched");
  });

  test("which keys are paths", () => {
    const paths = ["a", "a/b", "..", "a/../b", "", "/a", "a/", "."].map((key) =>
      relativePathOf(utf8(key)),
    );
    expect(paths).toEqual(["a", "a/b", ...Array.from({ length: 6 }, () => undefined)]);
    expect(relativePathOf(Uint8Array.of(0xff))).toBeUndefined();
    expect(relativePathOf(utf8("a\0b"))).toBeUndefined();
  });
});

describe("bounds and progress", () => {
  test("bytes in flight are bounded, one large item passes alone", async () => {
    let inFlight = 0;
    let most = 0;
    const bounds = { tasksMax: 10, bytesMax: 100, signal: new AbortController().signal };
    await runBounded(
      [40, 40, 40, 500, 10, 10],
      (size) => size,
      bounds,
      async (size) => {
        inFlight += size;
        most = Math.max(most, size > 100 ? inFlight - size : inFlight);
        await new Promise((resolve) => setImmediate(resolve));
        inFlight -= size;
      },
    );
    expect(most).toBeLessThanOrEqual(100);
    expect(inFlight).toBe(0);
  });

  test("the first failure ends the run after what was started", async () => {
    const bounds = { tasksMax: 2, bytesMax: 100, signal: new AbortController().signal };
    const started: number[] = [];
    const run = runBounded(
      [1, 2, 3, 4, 5, 6],
      () => 1,
      bounds,
      async (item) => {
        started.push(item);
        await new Promise((resolve) => setImmediate(resolve));
        if (item === 1) throw new Error("first");
      },
    );
    await expect(run).rejects.toThrow("first");
    expect(started).toEqual([1, 2]);
  });

  test("shows files, bytes, rate and the time that remains", () => {
    const now = { files: 50, bytes: 512 * 1024, elapsedMs: 2000 };
    const known = { ...now, filesTotal: 100, bytesTotal: MIB };
    expect(renderProgress("importing", known)).toBe(
      "importing [████████████░░░░░░░░░░░░] 50% 50/100 files, 512.0 KiB of 1.0 MiB, " +
        "25 files/s, 256.0 KiB/s, 2s left",
    );
    const open = { ...now, filesTotal: undefined, bytesTotal: undefined };
    expect(renderProgress("exporting", open)).toBe(
      "exporting 50 files, 512.0 KiB, 25 files/s, 256.0 KiB/s",
    );
  });
});
