/** The parts of the differential test whose mistakes would look like agreement. */
import { describe, expect, test } from "vitest";
import { canonical, shown } from "../../scripts/bench/differential/answers.js";
import { expectationFor, laterAnswer } from "../../scripts/bench/differential/expectations.js";
import { bound } from "../../scripts/bench/differential/requests.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { bytesOf } from "../support/bytes-of.js";

function row(key: string, version: bigint, value = key): Message {
  return { key: bytesOf(key), version, value: bytesOf(value) };
}

function sorted(request: Message, kvs: readonly Message[], more = false): string {
  return shown(canonical("Range", request, { kvs, more }));
}

describe("rows that sort alike", () => {
  const byVersion = { sort_target: 1, sort_order: 1 };

  test("may stand in any order, others may not", () => {
    const [a, b, c] = [row("a", 1n), row("b", 1n), row("c", 2n)];
    expect(sorted(byVersion, [a, b, c])).toBe(sorted(byVersion, [b, a, c]));
    expect(sorted(byVersion, [a, b, c])).not.toBe(sorted(byVersion, [a, c, b]));
    expect(sorted({}, [a, b])).not.toBe(sorted({}, [b, a]));
  });

  test("may be any of them where a limit cuts through, and must be as many", () => {
    const [a, b, c] = [row("a", 1n), row("b", 2n), row("c", 2n)];
    expect(sorted(byVersion, [a, b], true)).toBe(sorted(byVersion, [a, c], true));
    expect(sorted(byVersion, [a, b], true)).not.toBe(sorted(byVersion, [b, c], true));
    expect(sorted(byVersion, [a, b], false)).not.toBe(sorted(byVersion, [a, c], false));
  });

  test("are found in transactions, too", () => {
    const request = { success: [{ request_txn: { failure: [{ request_range: byVersion }] } }] };
    const answer = (kvs: readonly Message[]): string =>
      shown(
        canonical("Txn", request, {
          succeeded: true,
          responses: [{ response_txn: { responses: [{ response_range: { kvs } }] } }],
        }),
      );
    const [a, b, c] = [row("a", 1n), row("b", 1n), row("c", 2n)];
    expect(answer([a, b, c])).toBe(answer([b, a, c]));
    expect(answer([a, b, c])).not.toBe(answer([c, a, b]));
  });
});

test("who answers is masked, and that somebody does is not", () => {
  const header = { cluster_id: 1n, member_id: 2n, raft_term: 3n, revision: 4n };
  const answer = (more: Message): string => shown(canonical("Put", {}, { header: more }));
  expect(answer(header)).toBe(answer({ ...header, member_id: 9n, raft_term: 1n }));
  expect(answer(header)).not.toBe(answer({ ...header, revision: 5n }));
  expect(answer(header)).not.toBe(answer({ revision: 4n }));
});

test("revisions are counted from where a run began, also in lists", () => {
  const draft = { success: [{ request_range: { revision: { after: 3 } } }], filters: [1] };
  expect(bound(draft, 100n)).toEqual({
    success: [{ request_range: { revision: 103n } }],
    filters: [1],
  });
});

describe("what etcd 3.4 cannot be asked", () => {
  const put = { request_put: { key: bytesOf("b") } };
  const open = { request_delete_range: { key: bytesOf("a"), range_end: bytesOf("\0") } };
  const closed = { request_delete_range: { key: bytesOf("a"), range_end: bytesOf("c") } };

  test("is a sort by nothing it knows, and a put beside a delete that it overlooks", () => {
    expect(laterAnswer({ sort_target: 5 })?.status).toBe(3);
    expect(laterAnswer({ success: [{ request_range: { sort_order: -1 } }] })?.status).toBe(3);
    expect(laterAnswer({ success: [put, open] })?.status).toBe(3);
    expect(laterAnswer({ success: [put, { request_txn: { failure: [closed] } }] })).toBeDefined();
  });

  test("is nothing else", () => {
    expect(laterAnswer({ sort_target: 4, sort_order: 2 })).toBeUndefined();
    expect(laterAnswer({ success: [put, closed] })).toBeUndefined();
    expect(laterAnswer({ success: [put], failure: [open] })).toBeUndefined();
    const nested = { request_txn: { success: [put], failure: [open] } };
    expect(laterAnswer({ success: [nested] })).toBeUndefined();
    expect(laterAnswer({ success: [nested], failure: [nested] })).toBeUndefined();
  });
});

test("a difference that nobody expects stays one", () => {
  const request = { method: "Range", draft: {}, by: "grpc" } as const;
  const [served, refused] = [
    { status: 0, message: "" },
    { status: 3, message: "etcdserver: key not found" },
  ];
  for (const [theirs, ours] of [
    [served, refused],
    [refused, served],
  ] as const) {
    expect(expectationFor({ request, message: {}, theirs, ours })).toBeUndefined();
  }
});
