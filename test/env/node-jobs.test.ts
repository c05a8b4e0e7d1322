/** Worker threads run jobs side by side, share memory, and their deaths fail only their jobs. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { inlineJobs } from "../../src/env/jobs.js";
import { NodeJobs } from "../../src/env/node/node-jobs.js";

// The worker's side of the protocol, as `serveJobs` speaks it, in plain JavaScript.
const WORKER = `
  import { parentPort } from "node:worker_threads";
  parentPort.on("message", (job) => {
    if (job.die) process.exit(7);
    if (job.fail) return parentPort.postMessage({ kind: "error", error: new Error("no luck") });
    if (job.shared) new Uint8Array(job.shared)[0]++;
    parentPort.postMessage({ kind: "result", value: job.number * 2 });
  });
`;

let jobs: NodeJobs;

beforeEach(() => {
  const worker = new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`);
  jobs = new NodeJobs({ worker, workersMax: 2 });
});

afterEach(() => jobs.close());

describe("worker jobs", () => {
  test("more jobs than workers all get their own result", async () => {
    const numbers = [1, 2, 3, 4, 5, 6];
    const results = await Promise.all(numbers.map((number) => jobs.run({ number })));
    expect(results).toEqual([2, 4, 6, 8, 10, 12]);
  });

  test("what runs and what waits for a worker is counted", async () => {
    const all = Promise.all([1, 2, 3, 4, 5].map((number) => jobs.run({ number })));
    expect(jobs.counts()).toEqual({ running: 2, waiting: 3 });
    await all;
    expect(jobs.counts()).toEqual({ running: 0, waiting: 0 });
  });

  test("shared memory is shared", async () => {
    const shared = new SharedArrayBuffer(1);
    await jobs.run({ shared, number: 1 });
    expect(new Uint8Array(shared)[0]).toBe(1);
  });

  test("errors, deaths and jobs that cannot be copied reject; the next job runs", async () => {
    await expect(jobs.run({ fail: true })).rejects.toThrow("no luck");
    await expect(jobs.run({ die: true })).rejects.toThrow("code 7");
    await expect(jobs.run({ number: () => 1 })).rejects.toThrow("could not be cloned");
    expect(await jobs.run({ number: 21 })).toBe(42);
  });

  test("a worker that finds no descriptor fails its job as a full disk does", async () => {
    const needy = `throw new Error("EMFILE: too many open files")`;
    const worker = new URL(`data:text/javascript,${encodeURIComponent(needy)}`);
    const starting = new NodeJobs({ worker, workersMax: 1 });
    await expect(starting.run({ number: 1 })).rejects.toMatchObject({ code: "noSpace" });
    await starting.close();
  });

  test("close waits for what runs and refuses what comes", async () => {
    const running = jobs.run({ number: 4 });
    const closed = jobs.close();
    await expect(jobs.run({ number: 5 })).rejects.toThrow("closed");
    await closed;
    expect(await running).toBe(8);
  });
});

describe("inline jobs", () => {
  test("run on copies and reject on errors", async () => {
    const job = { list: [1] };
    const inline = inlineJobs((given) => {
      (given as typeof job).list.push(2);
      return given;
    });
    expect(await inline.run(job)).toEqual({ list: [1, 2] });
    expect(job.list).toEqual([1]);
    const failing = inlineJobs(() => {
      throw new Error("no luck");
    });
    await expect(failing.run(1)).rejects.toThrow("no luck");
  });
});
