/** What rests on leases: they find nothing of the other steps, and leave nothing. */
import { post, steps, txn } from "./etcd-step.js";
import type { Step } from "./etcd-step.js";

const OLDER_STATUS = "400 since 3.6, where older releases say 412";
const CODED = "a code that says more than etcd's Unknown, with its words";

const NO_ORDER = "etcd tells keys in no order";
const EARLIER = "etcd's revision is that of what the candidate found";

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

const LEASES: readonly Step[] = [
  { words: ["lease", "grant", "60"] },
  { words: ["lease", "grant", "0"] },
  { words: ["lease", "grant", "60", "-w", "fields"] },
  { words: ["lease", "grant", "9000000001"] },
  ...steps("lease grant 60", "lease list"),
  post("/lease/grant", { TTL: "600", ID: "2748" }),
  post("/lease/grant", { TTL: "600", ID: "2748" }, OLDER_STATUS),
  post("/lease/grant", { TTL: 99_999_999_999 }),
  post("/kv/lease/leases", {}),
  post("/lease/grant", { TTL: "500", ID: "-5" }),
  { words: ["put", "l1", "v", "--lease", "abc"] },
  { words: ["put", "l2", "v", "--lease", "abc"] },
  { words: ["put", "l3", "v", "--lease", "def"] },
  ...steps("get l1", "put l1 w --ignore-lease", "get l1", "get --prefix l"),
  { words: ["lease", "timetolive", "abc"] },
  { words: ["lease", "timetolive", "abc", "--keys"], differs: NO_ORDER },
  { words: ["lease", "timetolive", "abc", "--keys", "-w", "fields"], differs: NO_ORDER },
  { words: ["lease", "timetolive", "def", "--keys"] },
  ...steps("lease timetolive abc", "lease timetolive def"),
  txn("\nput l4 x --lease=abc\nput l2 v\nget l4\n\n\n"),
  post("/kv/txn", {
    compare: [{ key: base64("l4"), target: "LEASE", result: "EQUAL", lease: "2748" }],
    success: [{ request_put: { key: base64("l4"), value: "AA==", ignore_lease: true } }],
    failure: [{ request_range: { key: base64("l4") } }],
  }),
  { words: ["lease", "timetolive", "abc", "--keys"], differs: NO_ORDER },
  post("/lease/timetolive", { ID: "2748", keys: true }, NO_ORDER),
  post("/kv/lease/timetolive", { ID: 2748 }),
  post("/lease/timetolive", { ID: "5" }),
  { words: ["lease", "keep-alive", "--once", "abc"] },
  ...steps("lease keep-alive --once abc", "lease keep-alive --once def"),
  { words: ["lease", "keep-alive", "def"] },
  { words: ["lease", "keep-alive", "abc"], endless: true },
  post("/lease/keepalive", { ID: "2748" }),
  post("/lease/keepalive", '{"ID":"2748"}{"ID":"5"}\n{"ID":"-5"}'),
  post("/lease/keepalive", { ID: "x" }, "bad JSON is the request's fault, not this node's"),
  { words: ["lease", "revoke", "abc"] },
  { words: ["lease", "revoke", "abc"] },
  post("/kv/lease/revoke", { ID: "-5" }),
  ...steps("get --prefix l"),
];

const lockBy = (lease: number): object => ({ name: base64("m"), lease });
const LEADER = { name: base64("e"), key: base64("e/11"), lease: "17" };

const LOCKS: readonly Step[] = [
  { words: ["lock", "m", "--", "echo", "held"] },
  { words: ["lock", "m"], endless: true },
  { words: ["lock", "m", "-w", "fields"], endless: true },
  { words: ["lock"] },
  { words: ["lock", "m", "--", "sh", "-c", "exit 7"] },
  { words: ["lock", "m", "--", "printenv", "ETCD_LOCK_KEY", "ETCD_LOCK_REV"] },
  { words: ["lock", "m", "--ttl", "5", "--", "true"] },
  { words: ["lock", "m", "--", "no-such-command"] },
  ...steps("get --prefix m"),
  post("/lease/grant", { TTL: "600", ID: "17" }),
  post("/lock/lock", lockBy(17)),
  post("/lock/lock", lockBy(17)),
  { words: ["lock", "m"], endless: true },
  post("/lock/unlock", { key: base64("m/11") }),
  post("/lock/unlock", { key: base64("m/11") }),
  post("/lock/lock", { name: base64("own") }),
  post("/lock/lock", lockBy(99), CODED),
  post("/lock/unlock", {}, CODED),
  { words: ["elect", "e", "me"], endless: true },
  post("/election/leader", { name: base64("e") }),
  post("/election/campaign", { name: base64("e"), lease: "17", value: base64("one") }),
  post("/election/campaign", { name: base64("e"), lease: "17", value: base64("two") }, EARLIER),
  post("/election/leader", { name: base64("e") }),
  { words: ["elect", "-l", "e"], endless: true },
  { words: ["elect", "e", "other"], endless: true },
  post("/election/proclaim", { leader: { ...LEADER, rev: "1" }, value: base64("no") }),
  post("/election/proclaim", {}),
  post("/election/resign", {}),
  post("/election/resign", { leader: { ...LEADER, rev: "1" } }),
  { words: ["get", "e/11"] },
  { words: ["elect", "e"] },
  { words: ["lease", "revoke", "11"] },
  post("/election/leader", { name: base64("e") }),
];

export const LEASE_STEPS: readonly Step[] = [...LEASES, ...LOCKS];
