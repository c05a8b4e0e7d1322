/** The commands of flotctl. Only this table is loaded at the start. */
import type { CommandEntry, CommandGroup, CommandTable } from "./command-table.js";
import type { Context } from "./context.js";

type Entry = CommandEntry<Context>;

const endpoint: CommandGroup<Context> = {
  name: "endpoint",
  describe: "ask endpoints about themselves",
  commands: [
    {
      usage: "status",
      describe: "what each endpoint says of itself",
      load: async () => (await import("./commands/endpoint-status.js")).endpointStatus,
    },
    {
      usage: "health",
      describe: "whether each endpoint can serve",
      load: async () => (await import("./commands/endpoint-health.js")).endpointHealth,
    },
    {
      usage: "hashkv",
      describe: "a hash of what each endpoint's replicas of a keyspace hold",
      load: async () => (await import("./commands/endpoint-hashkv.js")).endpointHashKv,
    },
  ],
};

const alarm: CommandGroup<Context> = {
  name: "alarm",
  describe: "troubles of nodes that hold now",
  commands: [
    {
      usage: "list",
      describe: "list them",
      load: async () => (await import("./commands/alarm.js")).alarmList,
    },
    {
      usage: "disarm",
      describe: "make sure that there is none, for they end by themselves",
      load: async () => (await import("./commands/alarm.js")).alarmDisarm,
    },
  ],
};

const snapshot: CommandGroup<Context> = {
  name: "snapshot",
  describe: "a keyspace at one revision, as a file",
  commands: [
    {
      usage: "save <file>",
      describe: "write the keyspace to a file",
      load: async () => (await import("./commands/snapshot-save.js")).snapshotSave,
    },
    {
      usage: "status <file>",
      describe: "check a file and say what is in it",
      load: async () => (await import("./commands/snapshot-status.js")).snapshotStatus,
    },
    {
      usage: "restore <file>",
      describe: "store the keys of a file in an empty keyspace",
      load: async () => (await import("./commands/snapshot-restore.js")).snapshotRestore,
    },
  ],
};

const member: CommandGroup<Context> = {
  name: "member",
  describe: "the nodes of the cluster",
  commands: [
    {
      usage: "list",
      describe: "list the nodes",
      load: async () => (await import("./commands/member-list.js")).memberList,
    },
    {
      usage: "add <name>",
      describe: "register a node that will be started, and say how",
      load: async () => (await import("./commands/member-add.js")).memberAdd,
    },
    {
      usage: "remove <id>",
      describe: "move a node's replicas away and let it go",
      load: async () => (await import("./commands/member-remove.js")).memberRemove,
    },
    {
      usage: "promote <id>",
      describe: "let a node that was added as a learner hold voting replicas",
      load: async () => (await import("./commands/member-promote.js")).memberPromote,
    },
    {
      usage: "update <id>",
      describe: "tell the others a node's new peer address",
      load: async () => (await import("./commands/member-update.js")).memberUpdate,
    },
  ],
};

const lease: CommandGroup<Context> = {
  name: "lease",
  describe: "leases, and the keys that end with them",
  commands: [
    {
      usage: "grant <ttl> [id]",
      describe: "grant a lease of so many seconds",
      load: async () => (await import("./commands/lease-grant.js")).leaseGrant,
    },
    {
      usage: "revoke <id>",
      describe: "end a lease and delete its keys",
      load: async () => (await import("./commands/lease-revoke.js")).leaseRevoke,
    },
    {
      usage: "timetolive <id>",
      describe: "what is left of a lease's time, and its keys",
      load: async () => (await import("./commands/lease-timetolive.js")).leaseTimeToLive,
    },
    {
      usage: "list",
      describe: "list the leases",
      load: async () => (await import("./commands/lease-list.js")).leaseList,
    },
    {
      usage: "keep-alive <id>",
      describe: "renew a lease until it ends",
      load: async () => (await import("./commands/lease-keep-alive.js")).leaseKeepAlive,
    },
  ],
};

const lineCommands: readonly Entry[] = [
  {
    usage: "lock <name> [program..]",
    describe: "hold a lock while a program runs, or until Ctrl-C",
    load: async () => (await import("./commands/lock.js")).lock,
  },
  {
    usage: "elect <name> [proposal]",
    describe: "campaign in an election and lead until Ctrl-C, or listen who leads",
    load: async () => (await import("./commands/elect.js")).elect,
  },
];

const shard: CommandGroup<Context> = {
  name: "shard",
  describe: "the shards and where they lie",
  commands: [
    {
      usage: "list",
      describe: "list the shards",
      load: async () => (await import("./commands/shard-list.js")).shardList,
    },
    {
      usage: "locate <key>",
      describe: "the shard that holds a key",
      load: async () => (await import("./commands/shard-locate.js")).shardLocate,
    },
    {
      usage: "replicas <shard>",
      describe: "a shard's replicas and how far they are; add, promote or remove one",
      load: async () => (await import("./commands/shard-replicas.js")).shardReplicas,
    },
  ],
};

const keyspace: CommandGroup<Context> = {
  name: "keyspace",
  describe: "the keyspaces of the cluster",
  commands: [
    {
      usage: "create <name>",
      describe: "create a keyspace",
      load: async () => (await import("./commands/keyspace-create.js")).keyspaceCreate,
    },
    {
      usage: "list",
      describe: "list the keyspaces",
      load: async () => (await import("./commands/keyspace-list.js")).keyspaceList,
    },
    {
      usage: "show <name>",
      describe: "a keyspace and its shards",
      load: async () => (await import("./commands/keyspace-show.js")).keyspaceShow,
    },
  ],
};

const keyValueCommands: readonly Entry[] = [
  {
    usage: "put <key> [value]",
    describe: "store a value under a key; without a value it is read from the input",
    load: async () => (await import("./commands/put.js")).put,
  },
  {
    usage: "get <key> [range-end]",
    describe: "read a key, or the keys from key up to range-end",
    load: async () => (await import("./commands/get.js")).get,
  },
  {
    usage: "del <key> [range-end]",
    describe: "delete a key, or the keys from key up to range-end",
    load: async () => (await import("./commands/del.js")).del,
  },
  {
    usage: "txn",
    describe: "run a transaction read from the input",
    load: async () => (await import("./commands/txn.js")).txn,
  },
  {
    usage: "watch [key] [range-end]",
    describe: "print changes as they happen, or run a program for each (after --)",
    load: async () => (await import("./commands/watch.js")).watch,
  },
  {
    usage: "compaction <revision>",
    describe: "drop the history before a revision",
    load: async () => (await import("./commands/compaction.js")).compaction,
  },
];

const fileCommands: readonly Entry[] = [
  {
    usage: "import",
    describe: "store the files of a directory, each under its relative path",
    load: async () => (await import("./commands/import.js")).importFiles,
  },
  {
    usage: "verify",
    describe: "compare what is stored with the files of a directory",
    load: async () => (await import("./commands/verify.js")).verify,
  },
  {
    usage: "export",
    describe: "write the keys of a keyspace as files of a directory",
    load: async () => (await import("./commands/export.js")).exportFiles,
  },
];

export const FLOTCTL_COMMANDS: CommandTable<Context> = [
  ...keyValueCommands,
  lease,
  ...lineCommands,
  endpoint,
  member,
  shard,
  {
    usage: "move-leader",
    describe: "hand the leadership of a shard to another node",
    load: async () => (await import("./commands/move-leader.js")).moveLeader,
  },
  alarm,
  {
    usage: "defrag",
    describe: "let endpoints make their files smaller",
    load: async () => (await import("./commands/defrag.js")).defrag,
  },
  snapshot,
  {
    name: "check",
    describe: "measure the cluster",
    commands: [
      {
        usage: "perf",
        describe: "whether it keeps up with a load",
        load: async () => (await import("./commands/check-perf.js")).checkPerf,
      },
    ],
  },
  {
    usage: "make-mirror <destination>",
    describe: "copy keys to another cluster, and every change from then on",
    load: async () => (await import("./commands/make-mirror.js")).makeMirror,
  },
  keyspace,
  ...fileCommands,
  {
    usage: "completion <shell>",
    describe: "print the completion script for bash, zsh or fish",
    load: async () => (await import("./commands/completion.js")).completion,
  },
  {
    usage: "version",
    describe: "print the version",
    load: async () => (await import("./commands/version.js")).version,
  },
];
