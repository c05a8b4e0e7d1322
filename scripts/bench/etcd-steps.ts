/** What the comparison with etcd runs, in order: each step finds what those before it have left. */
import {
  DRIVEN_WATCHES,
  MIRRORS,
  MORE_PUTS,
  ORDERED_GETS,
  TYPED_TXNS,
} from "./etcd-client-steps.js";
import { CLUSTER_STEPS } from "./etcd-cluster-steps.js";
import { LEASE_STEPS } from "./etcd-lease-steps.js";
import { PLACES, post, steps, txn } from "./etcd-step.js";
import type { Step } from "./etcd-step.js";

const PUTS: readonly Step[] = [
  ...steps("get missing", "put a 1", "put a 2", "put b 1", "put ab x", "put c zz", "put a 3"),
  { words: ["put", "a", "4", "--prev-kv"] },
  { words: ["put", "empty", ""] },
  { words: ["put", "", "x"] },
  { words: ["put", "a", "--ignore-value"] },
  { words: ["put", "nothing", "--ignore-value"] },
  { words: ["put", "a", "5", "--lease", "1234"] },
  { words: ["put", "a", "5", "--ignore-lease"] },
  { words: ["put", "nothing", "5", "--ignore-lease"] },
  { words: ["get", "a"] },
  { words: ["get", "a", "-w", "fields"] },
];

const GETS: readonly Step[] = [
  ...steps(
    "get a c",
    "get --prefix a",
    "get --from-key b",
    "get --prefix --keys-only a",
    "get --prefix a --count-only",
    "get --limit 2 --from-key a",
    "get --limit 3 --from-key a",
    "get --limit 1 --prefix zzz",
    "get a c --order ASCEND",
    "get a z --order DESCEND",
    "get a z --sort-by VERSION",
    "get a z --sort-by CREATE --order DESCEND",
    "get a z --sort-by MODIFY --order DESCEND --limit 2",
    "get a z --sort-by VALUE",
    "get a --rev 3",
    "get --from-key a --rev 4",
    "get a --rev 999",
    "get c a",
    "get a --consistency s",
    "get --from-key a --consistency s --limit 1",
  ),
  { words: ["get", "--from-key", "a", "--print-value-only"] },
  { words: ["get", "a", "z", "--count-only", "-w", "fields"] },
  { words: ["get", "--prefix", ""] },
  { words: ["get", ""] },
];

const DELETES: readonly Step[] = [
  ...steps("del missing", "put d1 1", "put d2 2", "put d3 3", "del d1 --prev-kv"),
  ...steps("del --prefix d --prev-kv", "del z a", "get --from-key a"),
  { words: ["del", "missing"] },
  { words: ["del", ""] },
  ...steps("put a again", "get a"),
];

const TXNS: readonly Step[] = [
  txn('ver("a") > "0"\n\nput t1 x\nget t1\n\nput t1 y\n\n'),
  txn('val("a") = "no"\n\nput t2 x\n\nput t2 y\nget a\ndel t1\nget t1\n\n'),
  txn('create("t9") = "0"\nmod("a") > "1"\n\nget a\nget b\n\nget c\n\n'),
  txn('val("none") = ""\n\nget a\n\nget b\n\n'),
  txn("\nput t3 1\nput t3 2\n\n\n"),
  txn("\ndel t --prefix\nput t4 2\n\n\n"),
  txn("\ndel missing\nget a\n\n\n"),
  txn("\nput p 1\ndel q\nget p\n\n\n"),
  txn("\nget a --rev 9999\n\n\n"),
  txn("\n\n\n"),
  { words: ["txn"], input: 'ver("a") > "0"\n\nput t1 x\nget t1\n\nput t1 y\n\n' },
];

const nested = {
  compare: [{ key: "YQ==", target: "VERSION", result: "GREATER", version: "0" }],
  success: [
    { requestPut: { key: "bjE=", value: "MQ==" } },
    {
      requestTxn: {
        compare: [{ key: "bjE=", target: "CREATE", result: "EQUAL", create_revision: 0 }],
        success: [
          { requestRange: { key: "bjE=" } },
          { requestDeleteRange: { key: "YQ==", prev_kv: true } },
          { requestRange: { key: "YQ==" } },
        ],
        failure: [{ requestPut: { key: "bjI=", value: "MQ==" } }],
      },
    },
  ],
};

const SHAPE = "the body of errors has the shapes of all releases";

const JSON_STEPS: readonly Step[] = [
  post("/kv/txn", nested),
  post("/kv/txn", nested),
  post("/kv/put", { key: "ag==", value: "AP//", prev_kv: true }),
  post("/kv/put", { key: "ag==", value: "AP8=", prevKv: true }),
  post("/kv/range", { key: "ag==" }),
  post("/kv/range", { key: "AA==", range_end: "AA==", limit: "2", unknown: [1] }),
  post("/kv/range", { key: "AA==", range_end: "AA==", sort_order: "DESCEND", limit: 1 }),
  post("/kv/range", { key: "AA==", rangeEnd: "AA==", min_mod_revision: 5, limit: "1" }),
  post("/kv/range", { key: "AA==", rangeEnd: "AA==", max_create_revision: "4" }),
  post("/kv/range", { key: "AA==", rangeEnd: "AA==", min_create_revision: "90" }),
  post("/kv/deleterange", { key: "ag==", prev_kv: true }),
  post("/kv/range", {}),
  post("/kv/range", "no json", SHAPE),
  post("/kv/range", { key: "a", revision: "x" }, SHAPE),
  post("/kv/range", { key: "YQ==", revision: "99999" }),
  post("/kv/txn", {}),
  post("/kv/txn", { success: [{}] }),
  post("/lease/revoke", { ID: "77" }),
  post(
    "/auth/authenticate",
    { name: "root", password: "x" },
    "400 since 3.6, where older releases say 412",
  ),
  post("/kv/txn", {
    compare: [{ key: "YQ==", target: "LEASE", result: "EQUAL", lease: "0" }],
    success: [{ request_range: { key: "YQ==" } }],
  }),
  post("/kv/compaction", { revision: "99999" }),
  post("/cluster/member/list", {}),
  post("/maintenance/status", {}, "another version, and sizes of another storage"),
  { words: ["GET", "/health"], differs: "newer releases tell a reason too" },
  { words: ["GET", "/version"], differs: "another version" },
];

function watch(words: string): Step {
  return { words: words.split(" "), endless: true };
}

const WATCHES: readonly Step[] = [
  ...steps("put w1 1", "put w2 2", "put w1 3", "del w1", "put w3 4"),
  watch("watch w1 --rev 1"),
  watch("watch w --prefix --rev 1 --prev-kv"),
  watch("watch w --prefix --rev 1 -w json"),
  watch("watch w --prefix --rev 1 --prev-kv -w fields"),
  watch("watch w2 w9 --rev 1"),
  watch("watch w9 w2 --rev 1"),
  watch("watch new --progress-notify"),
];

const COMPACTIONS: readonly Step[] = [
  ...steps("compaction 5", "get a --rev 3", "get a --rev 5"),
  { words: ["compaction", "5"] },
  { words: ["compaction", "4"] },
  { words: ["compaction", "100000"] },
  { words: ["compaction", "6", "--physical"] },
  watch("watch w1 --rev 2"),
  watch("watch w1 --rev 2 -w json"),
];

const NO_HEADER = "a header, which older releases have not";

const alarm = (action: string, kind?: string): Step =>
  post("/maintenance/alarm", { action, memberID: PLACES.leader, alarm: kind }, NO_HEADER);

const ALARMS: readonly Step[] = [
  alarm("ACTIVATE", "NOSPACE"),
  alarm("ACTIVATE", "NOSPACE"),
  alarm("GET"),
  alarm("GET", "CORRUPT"),
  alarm("GET", "NOSPACE"),
  ...steps("put a full", "del w3", "get a", "del w1 --prefix"),
  { words: ["put", "a", "full"] },
  txn("\nput a full\n\n\n"),
  txn('ver("a") = "77"\n\n\ndel w2\n\n'),
  { words: ["lease", "grant", "100"] },
  { words: ["compaction", "7"] },
  { words: ["alarm", "list"] },
  { words: ["alarm", "list", "-w", "json"], differs: NO_HEADER },
  { words: ["GET", "/health"], differs: "newer releases tell a reason too" },
  { words: ["alarm", "disarm"] },
  { words: ["alarm", "disarm"] },
  alarm("GET"),
  alarm("DEACTIVATE", "NOSPACE"),
  ...steps("put a again", "get a"),
  alarm("ACTIVATE", "CORRUPT"),
  ...steps("put a bad", "del a", "get a", "get a --consistency s"),
  { words: ["compaction", "9"] },
  alarm("DEACTIVATE", "CORRUPT"),
  ...steps("put a again", "del a"),
];

export const STEPS: readonly Step[] = [
  ...PUTS,
  ...GETS,
  ...ORDERED_GETS,
  ...DELETES,
  ...MORE_PUTS,
  ...TXNS,
  ...TYPED_TXNS,
  ...JSON_STEPS,
  ...WATCHES,
  ...DRIVEN_WATCHES,
  ...MIRRORS,
  ...COMPACTIONS,
  ...LEASE_STEPS,
  ...ALARMS,
  ...CLUSTER_STEPS,
];
