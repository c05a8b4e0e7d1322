/**
 * Ranges of more bytes than one answer between nodes carries, by etcd's API at real processes. The
 * expected keys are those that etcd 3.4 answers to the same requests after the same writes.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { ProcessCluster } from "../support/processes.js";

const ROWS = 84;
const VALUE_BYTES = 250_000;
const ALL: Message = { key: bytesOf("big/"), range_end: bytesOf("big0") };
const SORT = { ascend: 1, descend: 2, version: 1, create: 2, mod: 3, value: 4 };

let cluster: ProcessCluster;
let client: GrpcClient;
/** The revision after which each key was written once. */
let loadedRevision = 0n;

interface Row {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

interface Answer {
  readonly header: { readonly revision: bigint };
  readonly kvs?: readonly Row[];
  readonly more?: boolean;
  readonly count?: bigint;
}

/** Of row i: values rise with 7 * i modulo 100, so that all are different. */
function valueOf(i: number): Uint8Array {
  const value = new Uint8Array(VALUE_BYTES).fill(97);
  value[VALUE_BYTES - 1] = (i * 7) % 100;
  return value;
}

function keyOf(i: number): string {
  return `big/${String(i).padStart(3, "0")}`;
}

async function call(name: string, request: Message): Promise<Answer> {
  const { status, message, response } = await client.call(
    `/etcdserverpb.KV/${name}`,
    name,
    request,
  );
  expect([status, message]).toEqual([0, ""]);
  return response as unknown as Answer;
}

async function put(i: number): Promise<bigint> {
  const { header } = await call("Put", { key: bytesOf(keyOf(i)), value: valueOf(i) });
  return header.revision;
}

/** The numbers of the rows, what is told with them, and the bytes of all values. */
function factsOf({ kvs = [], more = false, count = 0n }: Answer): object {
  const rows = kvs.map(({ key }) => Number(textOf(key).slice(4)));
  const bytes = kvs.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  return { rows, more, count: Number(count), bytes };
}

const UP: readonly number[] = Array.from({ length: ROWS }, (_, i) => i);
const DOWN: readonly number[] = UP.toReversed();

beforeAll(async () => {
  cluster = await ProcessCluster.start();
  client = new GrpcClient(cluster.endpoint("n1"));
  for (const i of UP) loadedRevision = await put(i);
  // Row 20 is written three times in all, row 40 twice.
  for (const i of [20, 40, 20]) await put(i);
}, 100_000);

afterAll(async () => {
  client?.close();
  await cluster?.close();
});

describe("a range of 21 MB", () => {
  const first = (rows: readonly number[]) => {
    return { rows, more: true, count: ROWS, bytes: rows.length * VALUE_BYTES };
  };
  const { ascend, descend, version, create, mod, value } = SORT;

  test.each([
    [{ sort_order: descend, limit: 3n }, [83, 82, 81]],
    [{ sort_order: descend, sort_target: version, limit: 2n }, [20, 40]],
    [{ sort_order: descend, sort_target: create, limit: 2n }, [83, 82]],
    [{ sort_order: descend, sort_target: mod, limit: 3n }, [20, 40, 83]],
    [{ sort_order: ascend, sort_target: mod, limit: 2n }, [0, 1]],
    [{ sort_order: ascend, sort_target: value, limit: 3n }, [0, 43, 29]],
    [{ sort_order: descend, limit: 2n, serializable: true }, [83, 82]],
  ])("in the order %o begins with rows %o", async (order, rows) => {
    expect(factsOf(await call("Range", { ...ALL, ...order }))).toEqual(first(rows));
  });

  test("comes whole, as keys only, of a past revision, and between revisions", async () => {
    const back: Message = { ...ALL, sort_order: descend };
    const whole = { rows: DOWN, more: false, count: ROWS, bytes: ROWS * VALUE_BYTES };
    expect(factsOf(await call("Range", back))).toEqual(whole);
    const keys = { ...whole, bytes: 0 };
    expect(factsOf(await call("Range", { ...back, keys_only: true }))).toEqual(keys);
    const byValue = { sort_target: value, keys_only: true, limit: 2n };
    expect(factsOf(await call("Range", { ...back, ...byValue }))).toEqual({
      ...first([57, 14]),
      bytes: 0,
    });
    const past = { sort_target: mod, limit: 2n, revision: loadedRevision };
    expect(factsOf(await call("Range", { ...back, ...past }))).toEqual(first([83, 82]));
    const bounds = { sort_target: mod, max_mod_revision: loadedRevision, limit: 82n };
    expect(factsOf(await call("Range", { ...back, ...bounds }))).toEqual({
      rows: DOWN.filter((i) => i !== 20 && i !== 40),
      more: false,
      count: ROWS,
      bytes: 82 * VALUE_BYTES,
    });
  }, 60_000);

  test("may be part of a transaction, that reads only or writes", async () => {
    const part = { request_range: ALL };
    const few = { request_range: { ...ALL, limit: 2n } };
    const write = { request_put: { key: bytesOf("other"), value: bytesOf("x") } };
    const whole = { rows: UP, more: false, count: ROWS, bytes: ROWS * VALUE_BYTES };
    for (const success of [[part], [part, few], [write, part], [part, write]]) {
      const answer = await call("Txn", { success });
      const { responses } = answer as unknown as { responses: readonly Message[] };
      expect(responses).toHaveLength(success.length);
      for (const [i, each] of success.entries()) {
        if (each === write) continue;
        const range = responses[i]!["response_range"] as unknown as Answer;
        expect(factsOf(range)).toEqual(each === part ? whole : first([0, 1]));
      }
    }
  }, 60_000);

  test("is answered by JSON too", async () => {
    const body = '{"key":"YmlnLw==","range_end":"YmlnMA==","sort_order":"DESCEND","limit":"1"}';
    const url = `http://${cluster.endpoint("n2")}/v3/kv/range`;
    const answer = await (await fetch(url, { method: "POST", body })).json();
    expect(answer).toMatchObject({ more: true, count: "84", kvs: [{ key: "YmlnLzA4Mw==" }] });
  });

  test("is given back whole by the delete of it", async () => {
    const answer = await call("DeleteRange", { ...ALL, prev_kv: true });
    const { deleted, prev_kvs } = answer as unknown as { deleted: bigint; prev_kvs: Row[] };
    expect(factsOf({ ...answer, kvs: prev_kvs, count: deleted })).toEqual({
      rows: UP,
      more: false,
      count: ROWS,
      bytes: ROWS * VALUE_BYTES,
    });
    expect(factsOf(await call("Range", ALL))).toEqual({
      rows: [],
      more: false,
      count: 0,
      bytes: 0,
    });
  }, 60_000);
});
