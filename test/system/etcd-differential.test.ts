/**
 * Random requests by JSON, to a real etcd and to ours: every answer must be the same, but for who
 * answers. Revisions are counted from where each stood at the beginning.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { freeAddress } from "../support/ports.js";
import { ProcessCluster } from "../support/processes.js";
import { isInstalled } from "../support/programs.js";
import { toBase64 } from "../../src/gateway/base64.js";

const RUNS = 20;

interface Side {
  readonly address: string;
  /** Revision from which all others are counted. */
  readonly base: number;
}

interface Request {
  readonly path: string;
  readonly body: object;
}

const KEYS = ["a", "aa", "ab", "b", "c", "\u0000"].map((key) => toBase64(bytesOf(key)));
const ENDS = [...KEYS, toBase64(bytesOf("d"))];
const key = fc.constantFrom(...KEYS);
const end = fc.option(fc.constantFrom(...ENDS), { nil: undefined });
const value = fc.constantFrom("", "MQ==", "Mg==");
const bound = fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined, freq: 4 });
const flag = fc.boolean();

const range = fc.record(
  {
    key,
    range_end: end,
    limit: fc.integer({ min: 0, max: 4 }),
    revision: bound,
    sort_order: fc.constantFrom("NONE", "ASCEND", "DESCEND"),
    // Equal rows have no order in etcd: only what is different in each may be sorted by.
    sort_target: fc.constantFrom("KEY", "MOD"),
    keys_only: flag,
    count_only: flag,
    min_mod_revision: bound,
    max_mod_revision: bound,
    min_create_revision: bound,
    max_create_revision: bound,
  },
  { requiredKeys: ["key"] },
);
const put = fc.record(
  { key, value, prev_kv: flag, ignore_value: fc.boolean() },
  { requiredKeys: ["key", "value"] },
);
const gone = fc.record({ key, range_end: end, prev_kv: flag });
const compare = fc.oneof(
  fc.record({
    key,
    range_end: end,
    target: fc.constant("VERSION"),
    result: fc.constantFrom("EQUAL", "GREATER", "LESS", "NOT_EQUAL"),
    version: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({
    key,
    range_end: end,
    target: fc.constant("VALUE"),
    result: fc.constantFrom("EQUAL", "GREATER", "LESS", "NOT_EQUAL"),
    value,
  }),
  fc.record({
    key,
    target: fc.constantFrom("MOD", "CREATE"),
    result: fc.constantFrom("EQUAL", "GREATER", "LESS"),
    mod_revision: fc.integer({ min: 0, max: 9 }),
  }),
);
const { txn } = fc.letrec((tie) => {
  const operation = fc.oneof(
    fc.record({ request_range: range }),
    fc.record({ request_put: put }),
    fc.record({ request_delete_range: gone }),
    fc.record({ request_txn: tie("txn") }),
  );
  const branch = fc.array(operation, { maxLength: 3 });
  return {
    txn: fc.record({
      compare: fc.array(compare, { maxLength: 2 }),
      success: branch,
      failure: branch,
    }),
  };
});

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 3, arbitrary: put.map((body) => ({ path: "/kv/put", body })) },
  { weight: 3, arbitrary: range.map((body) => ({ path: "/kv/range", body })) },
  { weight: 1, arbitrary: gone.map((body) => ({ path: "/kv/deleterange", body })) },
  { weight: 4, arbitrary: txn.map((body) => ({ path: "/kv/txn", body: body as object })) },
);

const REVISIONS = /"((?:min_|max_)?(?:mod_|create_)?revision)":"?(\d+)"?/g;

/** The request as one side takes it: revisions that are meant from its base on. */
function bodyFor({ body }: Request, { base }: Side): string {
  return JSON.stringify(body).replace(REVISIONS, (_, name: string, number: string) => {
    return `"${name}":"${number === "0" ? 0 : Number(number) + base}"`;
  });
}

async function ask(side: Side, one: Request): Promise<string> {
  const url = `http://${side.address}/v3${one.path}`;
  const response = await fetch(url, { method: "POST", body: bodyFor(one, side) });
  return (await response.text())
    .replace(/"(cluster_id|member_id|raft_term)":"\d+",?/g, "")
    .replace(
      REVISIONS,
      (_, name: string, number: string) => `"${name}":${Number(number) - side.base}`,
    );
}

async function sideAt(address: string): Promise<Side> {
  const url = `http://${address}/v3/kv/deleterange`;
  const body = '{"key":"AA==","range_end":"AA=="}';
  await fetch(url, { method: "POST", body });
  const marked = await fetch(`http://${address}/v3/kv/put`, {
    method: "POST",
    body: '{"key":"eg=="}',
  });
  const { header } = (await marked.json()) as { readonly header: { readonly revision: string } };
  return { address, base: Number(header.revision) };
}

describe.skipIf(!isInstalled("etcd", "--version"))("beside etcd", () => {
  let cluster: ProcessCluster;
  let etcd: ChildProcess;
  let etcdAddress = "";
  const directory = mkdtempSync(join(tmpdir(), "flotilla-etcd-"));

  beforeAll(async () => {
    etcdAddress = await freeAddress();
    const peer = `http://${await freeAddress()}`;
    etcd = spawn(
      "etcd",
      [
        ["--data-dir", directory, "--log-level", "error", "--logger", "zap"],
        ["--listen-client-urls", `http://${etcdAddress}`],
        ["--advertise-client-urls", `http://${etcdAddress}`],
        ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ["--initial-cluster", `default=${peer}`],
      ].flat(),
      { stdio: "ignore" },
    );
    cluster = await ProcessCluster.start();
    await eventually(async () => (await fetch(`http://${etcdAddress}/health`)).ok, 30_000);
  }, 60_000);

  afterAll(async () => {
    etcd.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
    await cluster.close();
  }, 60_000);

  test("random requests are answered alike", async () => {
    const requests = fc.array(request, { minLength: 5, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(requests, async (list) => {
        const theirs = await sideAt(etcdAddress);
        const ours = await sideAt(cluster.endpoint("n1"));
        for (const one of list) {
          const wanted = await ask(theirs, one);
          expect({ one, answer: await ask(ours, one) }).toEqual({ one, answer: wanted });
        }
      }),
      { numRuns: RUNS },
    );
  }, 120_000);
});
