/**
 * What is asked of the cluster and its members. Left out are `check perf` and `check datascale`,
 * which judge the machine and write until time is up, and the removal of a member that runs.
 */
import { formats, PLACES, plain, post, steps } from "./etcd-step.js";
import type { Step } from "./etcd-step.js";

const NO_HEADER = "a header, which older releases have not";
const NO_USERS = "there are no users and roles yet";

const CLUSTER: readonly Step[] = [
  ...formats("member list"),
  ...formats("endpoint health"),
  ...formats("endpoint health --cluster"),
  ...formats("endpoint status"),
  ...plain(["endpoint status --cluster", "alarm list", "alarm disarm"]),
  { words: ["alarm", "list", "-w", "json"], differs: NO_HEADER },
  { words: ["alarm", "disarm", "-w", "json"], differs: NO_HEADER },
  ...plain([
    "member remove 1234",
    "member promote 1234",
    "member update 1234 --peer-urls http://127.0.0.1:1",
    "member add x --peer-urls nonsense",
    "member add x",
    "member remove",
    "member remove nonsense",
    `member promote ${PLACES.follower}`,
    "lease revoke 1234",
    "get a --user root:x",
  ]),
];

const list: Step = { words: ["member", "list"], unordered: true };
const remove: Step = { words: ["member", "remove", PLACES.added] };
const add = (words: string): Step => {
  return { words: ["member", "add", "four", ...words.split(" ")], unordered: true };
};
const urlAt = (port: number): string => `http://127.0.0.1:${port}`;
const member = (action: string, body: object, differs?: string): Step => {
  return { ...post(`/cluster/member/${action}`, body, differs), unordered: true };
};

/**
 * A fourth member comes and goes without having been started, as a learner and as a voter; each
 * time with another URL, since etcd makes the id of the URL and the second.
 */
const MEMBERS: readonly Step[] = [
  add(`--learner --peer-urls ${urlAt(1)}`),
  list,
  ...plain([`member add five --peer-urls ${PLACES.peerUrl}`, `member promote ${PLACES.added}`]),
  member("promote", { ID: PLACES.added }, "400 since 3.6, where older releases say 412"),
  remove,
  list,
  add(`--peer-urls ${urlAt(2)}`),
  list,
  ...plain([`member update ${PLACES.added} --peer-urls ${urlAt(3)}`]),
  list,
  ...plain([`member update ${PLACES.added} --peer-urls ${PLACES.peerUrl}`]),
  ...plain([`member promote ${PLACES.added}`], { differs: "etcd asks first whether it is ready" }),
  remove,
  member("add", { peerURLs: [urlAt(4)], isLearner: true }),
  member("update", { ID: PLACES.added, peerURLs: [urlAt(5)] }, "3.4 makes a learner a voter so"),
  member("remove", { ID: PLACES.added }),
  ...steps("put a after", "get a"),
];

const AT_JOINING: Partial<Step> = { node: "joining" };
const EMPTY =
  "three nodes of ours hold replicas, and what the fourth holds has no size and revision";

/** A fourth member comes as a learner, runs, and is made a voter; it stays, so this comes last. */
const LEARNER: readonly Step[] = [
  { ...add(`--learner --peer-urls ${PLACES.joiningUrl}`), patient: true },
  ...formats("member list", { unordered: true }),
  { words: ["START"] },
  ...formats("member list", { unordered: true }),
  ...plain(["endpoint status -w simple", "endpoint status -w table"], AT_JOINING),
  ...plain(["endpoint status -w json"], { ...AT_JOINING, differs: EMPTY }),
  ...plain(["get a", "get a --consistency s", "put a learnt", "member list"], AT_JOINING),
  ...plain(["endpoint health", "lease grant 60", "alarm list", "lock x"], AT_JOINING),
  ...plain([`member promote ${PLACES.joining}`], { patient: true }),
  ...formats("member list", { unordered: true }),
  ...plain([`member promote ${PLACES.joining}`]),
  member("promote", { ID: PLACES.joining }, "400 since 3.6, where older releases say 412"),
  ...plain(["endpoint status -w simple", "endpoint status -w table"], AT_JOINING),
  ...plain(["endpoint health", "put a promoted", "get a -w json"], AT_JOINING),
  ...steps("get a"),
];

const save = `snapshot save ${PLACES.file}`;

const MAINTENANCE: readonly Step[] = [
  ...plain(["defrag", "defrag --cluster"]),
  post("/maintenance/defragment", {}, NO_HEADER),
  ...steps("get --from-key a"),
  ...formats("endpoint hashkv --rev 10"),
  ...formats("endpoint hashkv --rev 30"),
  ...plain(["endpoint hashkv --cluster", "endpoint hashkv --rev 100000"]),
  ...plain([save], { node: "first" }),
  ...plain([save]),
  ...formats(`snapshot status ${PLACES.file}`),
  ...plain([`snapshot status ${PLACES.file}.missing`, "snapshot status", "snapshot save"]),
  ...plain([`snapshot restore ${PLACES.file} --data-dir ${PLACES.file}.restored`]),
  ...plain([`snapshot restore ${PLACES.file} --data-dir ${PLACES.file}.restored`]),
];

const LEADERS: readonly Step[] = [
  ...plain(["move-leader 1234", "move-leader nonsense", "move-leader"]),
  ...plain([`move-leader ${PLACES.leader}`]),
  ...plain([`move-leader ${PLACES.leader}`], { node: "follower" }),
  ...plain([`move-leader ${PLACES.follower}`]),
  ...plain(["put a moved", "get a"]),
];

const AUTHENTICATION: readonly Step[] = [
  ...plain(["auth disable", "auth enable"], { differs: NO_USERS }),
  ...plain(["user list", "user get a", "user delete a"], { differs: NO_USERS }),
  ...plain(["user add a --new-user-password x", "user passwd a --interactive=false"], {
    differs: NO_USERS,
    input: "x\n",
  }),
  ...plain(["role list", "role add r", "role get r"], { differs: NO_USERS }),
  ...plain(["role grant-permission r readwrite a", "role revoke-permission r a"], {
    differs: NO_USERS,
  }),
  ...plain(["user grant-role a r", "user revoke-role a r", "role delete r", "user delete a"], {
    differs: NO_USERS,
  }),
  ...plain(["user add", "role add", "user grant-role a", "role grant-permission r nonsense a"]),
  ...steps("get a"),
];

export const CLUSTER_STEPS: readonly Step[] = [
  ...CLUSTER,
  ...MEMBERS,
  ...MAINTENANCE,
  ...LEADERS,
  ...AUTHENTICATION,
  ...LEARNER,
];
