/** What etcdctl can do beyond one request: it reads its input, runs commands, and mirrors keys. */
import { PLACES, plain, steps } from "./etcd-step.js";
import type { Step } from "./etcd-step.js";

const ORDERS = ["ASCEND", "DESCEND"];
const TARGETS = ["KEY", "VERSION", "CREATE", "MODIFY", "VALUE"];

/** Every order of every target, also with a limit. They write nothing. */
export const ORDERED_GETS: readonly Step[] = [
  ...TARGETS.flatMap((target) =>
    ORDERS.flatMap((order) =>
      steps(
        `get a z --sort-by ${target} --order ${order}`,
        `get a z --sort-by ${target} --order ${order} --limit 2`,
      ),
    ),
  ),
  ...plain([
    "get a z --sort-by nothing",
    "get a z --order nothing",
    "get a z --order descend --keys-only",
    "get a --consistency x",
    "get a z --prefix",
    "get a -w table",
    "get a --hex",
    "get a --rev 1",
  ]),
  ...steps("get a --keys-only", "get a --count-only", "get --prefix a --print-value-only"),
];

export const MORE_PUTS: readonly Step[] = [
  { words: ["put", "piped"], input: "one\ntwo" },
  ...steps("get piped", "put piped --ignore-value --prev-kv", "get piped"),
  ...plain([
    "put piped x --ignore-value",
    "put piped --ignore-value --ignore-lease",
    "put piped x --ignore-lease --lease 1",
    "put piped x y",
    "put piped x -w fields",
    "put piped x --prev-kv -w fields",
    "del piped --prev-kv -w fields",
    "put piped x --prev-kv",
    "put piped x --lease nonsense",
    "del piped --prev-kv",
    "del a --prefix --from-key",
  ]),
];

const interactive = (input: string, words: readonly string[] = ["txn", "-i"]): Step => {
  return { words, input };
};

/** What a person types, and faults in it. */
export const TYPED_TXNS: readonly Step[] = [
  interactive('ver("a") > "0"\n\nput i1 x\nget i1\n\nput i2 y\n\n'),
  interactive('ver("a") < "1"\n\nput i1 x\nget i1\n\nput i2 y\nget i2 --prev-kv\n\n'),
  interactive('mod("a") > "0"\nval("i1") = "x"\n\nget --prefix i\ndel i --prefix --prev-kv\n\n\n'),
  interactive("\nnonsense a\n\n\n"),
  interactive('ver("a") > "0"\n\nget a\n\n\n', ["txn", "-w", "fields"]),
];

const typedWatch = (input: string): Step => ({ words: ["watch", "-i"], input, endless: true });

const SHOWN = 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"';
const AT = 'echo "at $ETCD_WATCH_REVISION"';

/** These read the history that the watches before them have written. */
export const DRIVEN_WATCHES: readonly Step[] = [
  typedWatch("watch w1 --rev 1\n"),
  typedWatch("watch --prefix w --rev 1 --prev-kv\n"),
  typedWatch("watch w3 --rev 1 -- echo seen\n"),
  typedWatch("watch w9\nprogress\n"),
  typedWatch("nonsense\n"),
  { words: ["watch", "-i"], input: "watch w1\n" },
  { words: ["watch", "w3", "--rev", "1", "--", "sh", "-c", SHOWN], endless: true },
  { words: ["watch", "w1", "--rev", "1", "--", "sh", "-c", SHOWN], endless: true },
  { words: ["watch", "w", "--prefix", "--rev", "1", "--", "sh", "-c", AT], endless: true },
  { words: ["watch", "w2", "--rev", "1", "--", "false"], endless: true },
  { words: ["watch", "--rev", "1"], env: { ETCDCTL_WATCH_KEY: "w2" }, endless: true },
  {
    words: ["watch", "--rev", "1"],
    env: { ETCDCTL_WATCH_KEY: "w2", ETCDCTL_WATCH_RANGE_END: "w9" },
    endless: true,
  },
  { words: ["watch", "w1"], env: { ETCDCTL_WATCH_KEY: "w2" } },
  { words: ["watch"] },
];

const mirror = (words: string): Step => {
  return { words: ["make-mirror", PLACES.address, ...words.split(" ")], endless: true };
};

/** Of each cluster onto itself, to a place that is not mirrored. */
export const MIRRORS: readonly Step[] = [
  ...steps("put from/a 1", "put from/b 2", "put from/a 3"),
  mirror("--prefix from/ --dest-prefix to/"),
  ...steps("get --prefix to/"),
  mirror("--prefix from/ --no-dest-prefix"),
  ...steps("get a", "get b", "del --prefix from/", "del --prefix to/"),
  { words: ["make-mirror"] },
];
