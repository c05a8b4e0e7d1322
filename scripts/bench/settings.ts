/** The command line of the cluster benchmark: its defaults, its bounds and its help. */
import { parseArgs } from "node:util";
import type { Level } from "./bench-cluster.js";
import { text } from "./etcd-sides.js";
import type { Work } from "./load.js";

export interface Settings {
  readonly works: readonly Work[];
  readonly clients: readonly number[];
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rounds: number;
  readonly valueBytes: number;
  readonly keys: number;
  readonly level: Level;
  /** 0: chosen by the number of clients. */
  readonly connections: number;
  readonly compareEtcd: boolean;
  readonly ours: boolean;
  readonly api: "sdk" | "etcd";
  readonly etcdMembers: "leader" | "all";
  readonly directory: string;
  readonly keep: boolean;
  readonly json: boolean;
}

const DEFAULTS = {
  work: "put,get,mixed",
  clients: "1,64,1000",
  seconds: "10",
  "warm-up": "1",
  rounds: "2",
  "value-bytes": "256",
  keys: "100000",
  level: "linearizable",
  api: "sdk",
  connections: "0",
  "etcd-members": "leader",
  data: "dist/bench-data",
} as const;

export const CLUSTER_HELP = `Usage: npm run -s bench -- cluster [options]

Measures a cluster of three nodes on this machine, and beside it, in turns, one of etcd.

  --work put,get,mixed   what the clients do; mixed is half puts, half gets (default: all)
  --clients 1,64,1000    how many clients, each with one operation in flight
  --seconds 10           how long a round takes
  --warm-up 1            seconds of load before the rounds of a row
  --rounds 2             rounds of a row; the medians are shown
  --value-bytes 256      size of the values
  --keys 100000          how many keys, of 12 bytes; all are loaded first
  --level linearizable   how reads are served: linearizable, lease, follower or stale; for etcd
                         stale means serializable, and all else linearizable
  --api sdk              by which of our interfaces: sdk, or etcd (gRPC)
  --connections 0        how many connections; 0: one for one client, 16 up to 64 clients, else 100
  --compare etcd         measure three etcd servers too (etcd must be on the PATH)
  --only-etcd            measure etcd alone
  --etcd-members leader  whether clients of etcd's API connect to the leader or to all members
  --data dist/bench-data where the data go; both clusters must be on the disk that is meant
  --keep                 leave the data and the servers' output there
  --json                 print the results as one JSON object in the last line
`;

/** The settings that these arguments ask for, or "help"; throws on what makes no sense. */
export function parseSettings(args: readonly string[]): Settings | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      work: text(DEFAULTS.work),
      clients: text(DEFAULTS.clients),
      seconds: text(DEFAULTS.seconds),
      "warm-up": text(DEFAULTS["warm-up"]),
      rounds: text(DEFAULTS.rounds),
      "value-bytes": text(DEFAULTS["value-bytes"]),
      keys: text(DEFAULTS.keys),
      level: text(DEFAULTS.level),
      api: text(DEFAULTS.api),
      connections: text(DEFAULTS.connections),
      "etcd-members": text(DEFAULTS["etcd-members"]),
      data: text(DEFAULTS.data),
      compare: { type: "string" },
      "only-etcd": { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return "help";
  const onlyEtcd = values["only-etcd"];
  return {
    works: values.work.split(",").map((one) => choice("work", one, ["put", "get", "mixed"])),
    clients: values.clients.split(",").map((one) => number("clients", one, 1, 100_000)),
    seconds: number("seconds", values.seconds, 1, 3_600),
    warmUpSeconds: number("warm-up", values["warm-up"], 1, 60),
    rounds: number("rounds", values.rounds, 1, 100),
    valueBytes: number("value-bytes", values["value-bytes"], 1, 16_000),
    keys: number("keys", values.keys, 1, 10_000_000),
    level: choice("level", values.level, ["linearizable", "lease", "follower", "stale"]),
    connections: number("connections", values.connections, 0, 10_000),
    compareEtcd: onlyEtcd || choiceOrNone(values.compare) === "etcd",
    ours: !onlyEtcd,
    api: choice("api", values.api, ["sdk", "etcd"]),
    etcdMembers: choice("etcd-members", values["etcd-members"], ["leader", "all"]),
    directory: values.data,
    keep: values.keep,
    json: values.json,
  };
}

/** How many connections so many clients share, unless the settings say. */
export function connectionsFor(settings: Settings, clients: number): number {
  const usual = clients <= 64 ? 16 : 100;
  return Math.min(clients, settings.connections === 0 ? usual : settings.connections);
}

function number(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= low && value <= high) return value;
  throw new Error(`--${name}: a whole number from ${low} to ${high} is expected, not "${text}"`);
}

function choice<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((one) => one === text);
  if (found !== undefined) return found;
  throw new Error(`--${name}: one of ${choices.join(", ")} is expected, not "${text}"`);
}

function choiceOrNone(text: string | undefined): string | undefined {
  return text === undefined ? undefined : choice("compare", text, ["etcd"]);
}
