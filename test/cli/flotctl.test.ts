/** flotctl as a user meets it: arguments in, text and exit code out. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { exitCodesText } from "../../src/cli/exit-codes.js";
import { runFlotctl } from "../../src/cli/run-flotctl.js";
import type { WatchItem } from "../../src/client/client-types.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { FakeClient } from "./fake-client.js";
import { FakeTerminal } from "./fake-terminal.js";
import { flotctl } from "./run.js";

function seeded(): FakeClient {
  const client = new FakeClient();
  client.seed({ a: "1", b: "2", c: "3" });
  return client;
}

describe("put", () => {
  test("stores the argument, or the input byte for byte", async () => {
    const first = await flotctl(["put", "k", "v"]);
    expect([first.code, first.out, first.err]).toEqual([0, "OK\n", ""]);
    const second = await flotctl(["put", "k"], { input: "line\nline\n", client: first.client });
    expect(second.out).toBe("OK\n");
    expect(second.client.entries.get("k")?.value).toEqual(utf8("line\nline\n"));
    expect(second.client.closed).toBe(true);
  });

  test("keys and values may look like anything", async () => {
    for (const [key, value] of [
      ["-k", "--v"],
      ["007", "1e3"],
      ["a.b", "0x10"],
      ["true", "--"],
    ]) {
      const { client, code } = await flotctl(["put", "--", key!, value!]);
      expect(code).toBe(0);
      expect(client.entries.get(key!)?.value).toEqual(utf8(value!));
    }
  });

  test("prints the value before with --prev-kv", async () => {
    const { out } = await flotctl(["put", "a", "9", "--prev-kv"], { client: seeded() });
    expect(out).toBe("OK\na\n1\n");
  });

  test("says when nobody knows whether it was applied", async () => {
    const client = new FakeClient();
    const lost = new KvError("timeout", "no answer after 5s", "unknown");
    client.faults.set("k", [{ error: lost, applied: true }]);
    const { code, err, out } = await flotctl(["put", "k", "v"], { client });
    expect(code).toBe(7);
    expect(out).toBe("");
    expect(err).toContain("outcome unknown: the write may have been applied");
    expect(err).toContain("next: read the key back");
  });

  test("a refused write is no unknown one", async () => {
    const client = new FakeClient();
    const refused = notApplied("unavailable", "shard 2 has no leader");
    client.faults.set("k", [{ error: refused, applied: false }]);
    const { code, err } = await flotctl(["put", "k", "v"], { client });
    expect(code).toBe(1);
    expect(err).toMatch(/^Error: shard 2 has no leader\n {2}likely cause: .*\n {2}next: flotctl/);
  });
});

describe("get", () => {
  test("one key, a range, a prefix, from a key on, everything", async () => {
    const client = seeded();
    const outOf = async (...args: string[]): Promise<string> =>
      (await flotctl(["get", ...args], { client })).out;
    expect(await outOf("a")).toBe("a\n1\n");
    expect(await outOf("zzz")).toBe("");
    expect(await outOf("a", "c")).toBe("a\n1\nb\n2\n");
    expect(await outOf("b", "--from-key")).toBe("b\n2\nc\n3\n");
    expect(await outOf("", "--prefix", "--print-value-only")).toBe("1\n2\n3\n");
    expect(await outOf("a", "--prefix", "--hex")).toBe("\\x61\n\\x31\n");
    expect(await outOf("", "--prefix", "--count-only")).toBe("3\n");
    expect(await outOf("", "--prefix", "--limit=1")).toBe("a\n1\n");
  });

  test("json is etcdctl's, with the level", async () => {
    const { out } = await flotctl(["get", "a", "-w", "json"], { client: seeded() });
    expect(out).toBe(
      '{"header":{"cluster_id":42,"member_id":1,"revision":4,"raft_term":5,' +
        '"level":"linearizable"},"kvs":[{"key":"YQ==","create_revision":2,"mod_revision":2,' +
        '"version":1,"value":"MQ=="}],"count":1}\n',
    );
  });

  test("fields are etcdctl's, with the level and the age of a stale read", async () => {
    const { out } = await flotctl(["get", "a", "-w=fields", "--consistency=s"], {
      client: seeded(),
    });
    expect(out.split("\n")).toEqual([
      '"ClusterID" : 42',
      '"MemberID" : 1',
      '"Revision" : 4',
      '"RaftTerm" : 5',
      '"Level" : "stale"',
      '"AgeMs" : 120',
      '"Key" : "a"',
      '"CreateRevision" : 2',
      '"ModRevision" : 2',
      '"Version" : 1',
      '"Value" : "1"',
      '"Lease" : 0',
      '"More" : false',
      '"Count" : 1',
      "",
    ]);
  });

  test("a table", async () => {
    const { out } = await flotctl(["get", "a", "c", "-w", "table"], { client: seeded() });
    expect(out).toContain("│ KEY │ VALUE │ CREATE REV │ MOD REV │ VERSION │ LEASE │");
    expect(out).toContain("│ b   │ 2     │ 3          │ 3       │ 1       │ 0     │");
  });

  test("a weaker read tells people, and only people, what it shows", async () => {
    const args = ["get", "a", "--consistency", "stale"];
    const person = await flotctl(args, { client: seeded(), isTTY: true, env: { NO_COLOR: "1" } });
    expect(person.err).toBe("stale read at revision 4, at most 120ms old\n");
    const script = await flotctl(args, { client: seeded() });
    expect(script.err).toBe("");
  });

  test("flags that exclude each other", async () => {
    for (const args of [
      ["a", "--prefix", "--from-key"],
      ["a", "b", "--prefix"],
      ["a", "--keys-only", "--print-value-only"],
      ["a", "--limit", "x"],
      ["a", "--order", "sideways"],
    ]) {
      const { code, connected } = await flotctl(["get", ...args]);
      expect(code).toBe(128);
      expect(connected).toEqual([]);
    }
  });
});

test("a read that fails names flags, and says nothing of applying", async () => {
  const client = new FakeClient();
  const late = notApplied("timeout", "get gave up after 5000 ms, not applied: no connection");
  const scattered = notApplied("orderedScanRefused", "a prefix must be asked for with fanOut");
  for (const error of [late, scattered]) client.faults.set(error.code, [{ error, applied: false }]);
  const timeout = await flotctl(["get", "timeout"], { client });
  expect(timeout.err).toContain("Error: get gave up after 5000 ms: no connection\n");
  const refused = await flotctl(["get", "orderedScanRefused"], { client });
  expect(refused.err).toContain("must be asked for with --fan-out\n");
});

describe("other commands", () => {
  test("del counts", async () => {
    const { out, client } = await flotctl(["del", "a", "c", "--prev-kv"], { client: seeded() });
    expect(out).toBe("2\na\n1\nb\n2\n");
    expect([...client.entries.keys()]).toEqual(["c"]);
  });

  test("txn reads three parts and prints etcdctl's answer", async () => {
    const input = 'mod("a") > "0"\n\nput a 2\nget b\n\ndel a\n\n';
    const client = new FakeClient();
    client.seed({ b: "2" });
    const { out, code } = await flotctl(["txn"], { input, client });
    expect(code).toBe(0);
    expect(out).toBe("SUCCESS\n\nOK\n\nb\n2\n");
    const [sent] = client.transactions;
    expect([sent?.compares.length, sent?.success.length, sent?.failure.length]).toEqual([1, 2, 1]);
    const json = await flotctl(["txn", "-w", "json"], { input, client });
    expect(JSON.parse(json.out)).toMatchObject({
      succeeded: true,
      responses: [
        { Response: { response_put: { header: { revision: 2 } } } },
        { Response: { response_range: { count: 1 } } },
      ],
    });
  });

  test("txn refuses what it cannot read before it connects", async () => {
    const { code, err, connected } = await flotctl(["txn"], { input: 'mod("a") ? "0"\n\n' });
    expect(code).toBe(3);
    expect(err).toContain("not a compare");
    expect(connected).toEqual([]);
  });

  test("compaction, members, shards, keyspaces", async () => {
    expect((await flotctl(["compaction", "3"])).out).toBe("compacted revision 3\n");
    expect((await flotctl(["compaction", "x"])).code).toBe(128);
    const members = await flotctl(["member", "list"]);
    expect(members.out.split("\n")[0]).toBe(
      "1, started, n1, 127.0.0.1:12380, 127.0.0.1:12379, false",
    );
    const shards = await flotctl(["shard", "list"]);
    expect(shards.out).toBe("2, default, -, -, n1, 5, n1 n2 n3, 1.1\n");
    expect((await flotctl(["shard", "locate", "k"])).out).toBe(shards.out);
    expect((await flotctl(["shard", "list", "--keyspace", "none"])).code).toBe(1);
    expect((await flotctl(["keyspace", "list"])).out).toBe("1, default, range, 1, 3\n");
    expect((await flotctl(["keyspace", "show", "nope"])).err).toContain("flotctl keyspace list");
    const moved = await flotctl(["move-leader", "--shard", "2", "--node", "n3"]);
    expect(moved.client.requests).toEqual(["moveLeader 2 n3"]);
    expect((await flotctl(["move-leader", "n3"])).code).toBe(128);
    const absent = await flotctl(["move-leader", "--shard", "99", "--node", "n3"]);
    expect(absent.err).toBe("Error: there is no shard 99\n  next: flotctl shard list\n");
    const placement = await flotctl(["move-leader", "--shard", "1", "--node", "n3"]);
    expect(placement.err).toContain("shard 1 is the placement group");
    expect([...absent.client.requests, ...placement.client.requests]).toEqual([]);
  });

  test("keyspace create", async () => {
    const range = await flotctl(["keyspace", "create", "docs", "--split-points", "g,p"]);
    expect(range.client.created).toEqual([
      { name: "docs", kind: "range", splitPoints: [utf8("g"), utf8("p")], replicationFactor: 0 },
    ]);
    const hash = await flotctl(["keyspace", "create", "f", "--kind", "hash", "--shards", "8"]);
    expect(hash.out).toBe("Keyspace f created: id 7, kind hash\n");
    expect((await flotctl(["keyspace", "create", "f", "--shards", "8"])).code).toBe(128);
  });

  test("endpoint health fails if one endpoint does", async () => {
    const good = await flotctl(["endpoint", "health"]);
    expect(good.out).toMatch(/^127.0.0.1:2379 is healthy: took = [\d.]+m?s\n$/);
    expect(good.code).toBe(0);
    const mixed = await flotctl(["endpoint", "health", "--endpoints", "127.0.0.1:2379,h:1"]);
    expect(mixed.code).toBe(1);
    expect(mixed.err).toContain("h:1 is unhealthy: shard 2 has no leader");
    expect(mixed.err).toContain("Error: unhealthy cluster");
    expect((await flotctl(["endpoint", "status"])).code).toBe(1);
  });

  test("completion scripts, version", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      expect((await flotctl(["completion", shell])).out).toContain("--get-yargs-completions");
    }
    expect((await flotctl(["completion", "cmd"])).code).toBe(128);
    expect((await flotctl(["version"])).out).toMatch(/^flotilla \d+\.\d+\.\d+ on Node\.js 2/);
  });
});

describe("watch", () => {
  const kv = {
    key: utf8("a"),
    value: utf8("1"),
    createRevision: 2,
    modRevision: 2,
    version: 1,
    lease: 0n,
  };

  test("prints events until it is interrupted", async () => {
    const client = new FakeClient();
    client.watchItems = [
      { revision: 2, events: [{ type: "put", kv, prevKv: undefined }] },
      { progress: 5 },
      {
        revision: 6,
        events: [{ type: "delete", kv: { ...kv, value: utf8("") }, prevKv: kv }],
      },
    ];
    const { code, out } = await flotctl(["watch", "a", "--rev", "2", "--progress-notify"], {
      client,
      meanwhile: (terminal) => {
        const timer = setInterval(() => {
          if (!terminal.out.text.includes("DELETE")) return;
          clearInterval(timer);
          terminal.interrupt();
        }, 1);
      },
    });
    expect(out).toBe("PUT\na\n1\nprogress notify: 5\nDELETE\na\n1\na\n\n");
    expect(code).toBe(5);
    expect(client.requests).toEqual(["watch a 2"]);
  });

  test("json events are etcdctl's", async () => {
    const client = new FakeClient();
    client.watchItems = [{ revision: 2, events: [{ type: "put", kv, prevKv: undefined }] }];
    const { out } = await flotctl(["watch", "a", "-w", "json"], {
      client,
      meanwhile: (terminal) => {
        const timer = setInterval(() => {
          if (terminal.out.text === "") return;
          clearInterval(timer);
          terminal.interrupt();
        }, 1);
      },
    });
    expect(JSON.parse(out)).toMatchObject({
      Header: { revision: 2 },
      Events: [{ kv: { key: "YQ==", mod_revision: 2 } }],
      Canceled: false,
    });
    expect(out).not.toContain('"type"');
  });

  test("watches of -i run side by side, a bad line ends it", async () => {
    const client = new FakeClient();
    client.watchItems = [{ revision: 2, events: [{ type: "put", kv, prevKv: undefined }] }];
    const input = "watch a\nwatch b --rev 3\nnonsense";
    const { code, err } = await flotctl(["watch", "-i"], { client, input });
    expect(client.requests).toEqual(["watch a 0", "watch b 3"]);
    expect(code).toBe(3);
    expect(err).toContain("not a watch: nonsense");
  });

  test("progress is answered once it is known, and printed only when asked for", async () => {
    const client = new FakeClient();
    client.watchItems = [{ progress: 7 }];
    const whenPrinted = (terminal: FakeTerminal): void => {
      const timer = setInterval(() => {
        if (terminal.out.text === "") return;
        clearInterval(timer);
        terminal.interrupt();
      }, 1);
    };
    const input = "watch a\nprogress";
    const asked = await flotctl(["watch", "-i"], { client, input, meanwhile: whenPrinted });
    expect(asked.out).toBe("progress notify: 7\n");
    const meanwhile = (terminal: FakeTerminal): void =>
      void setTimeout(() => terminal.interrupt(), 50);
    const silent = await flotctl(["watch", "-i"], { client, input: "watch a", meanwhile });
    expect(silent.out).toBe("");
  });

  test("a bad line of -i is the only failure, though the other watches lose their client", async () => {
    const client = new FakeClient();
    let lose: (error: KvError) => void = () => undefined;
    client.watch = () => {
      let cancel: () => void = () => undefined;
      const ended = new Promise<void>((resolve, reject) => {
        cancel = resolve;
        lose = reject;
      });
      async function* stream(): AsyncGenerator<WatchItem> {
        yield* client.watchItems;
        await ended;
      }
      return { [Symbol.asyncIterator]: stream, cancel: () => cancel() };
    };
    client.close = async () => {
      lose(notApplied("closed", "the client is closed"));
      await new Promise((resolve) => setImmediate(resolve));
    };
    const { code, err } = await flotctl(["watch", "-i"], { client, input: "watch a\nnonsense" });
    expect(code).toBe(3);
    expect(err).not.toContain("the client is closed");
  });

  test("a program that cannot run is the only failure, whatever fails at the end", async () => {
    const client = new FakeClient();
    client.watchItems = [{ revision: 2, events: [{ type: "put", kv, prevKv: undefined }] }];
    client.close = () => Promise.reject(notApplied("closed", "the client is closed"));
    const { code, err } = await flotctl(["watch", "a", "--", "/nope"], { client });
    expect([code, err]).toEqual([6, "Error: cannot run /nope: spawn /nope ENOENT\n"]);
  });

  test("needs a key, and has no table", async () => {
    expect((await flotctl(["watch"])).code).toBe(3);
    expect((await flotctl(["watch", "a", "-w", "table"])).code).toBe(4);
  });
});

describe("the command line", () => {
  test.each([
    [[], 128, "no command was named"],
    [["gte", "a"], 128, 'Error: unknown command "gte"; did you mean "get"?\n'],
    [["foo", "--bar", "x"], 128, 'Error: unknown command "foo"\n'],
    [["true"], 128, 'Error: unknown command "true"\n'],
    [["lease", "grant", "x"], 128, 'the TTL is "x", but must be a whole number of seconds'],
    [["lease", "revoke", "xyz"], 128, 'the id is "xyz", but must be a lease\'s id in hexadecimal'],
    [["put", "k", "v", "--lease", "12345678901234567"], 128, "--lease is "],
    [["put", "k", "v", "--lease", "1f", "--ignore-lease"], 128, "--ignore-lease keeps"],
    [["lock"], 128, "name"],
    [["elect", "e"], 128, "elect needs a proposal, or -l to listen"],
    [["lock", "m", "--ttl", "0"], 128, "--ttl must be above 0"],
    [
      ["endpoint", "helth"],
      128,
      'unknown command "endpoint helth"; did you mean "endpoint health"?',
    ],
    [["get"], 128, "<key> is missing\n  usage: flotctl get <key> [range-end] [flags]\n"],
    [["keyspace", "create"], 128, "usage: flotctl keyspace create <name> [flags]\n"],
    [["get", "a", "--bogus"], 128, "Error: unknown flag --bogus\n"],
    [["get", "a", "--bogus=1", "-x"], 128, "Error: unknown flag --bogus, unknown flag -x\n"],
    [["get", "a", "b", "c"], 128, 'unexpected argument "c"'],
    [["get", "a", "b", "true"], 128, 'unexpected argument "true"'],
    [["get", "a", "--prefix=yes"], 128, '--prefix is "yes", but must be true or false'],
    [["get", "a", "--sort-by", "x"], 128, "one of key, version, create, modify, value"],
    [["endpoint"], 128, "endpoint needs one of: status, health"],
    [["get", "a", "-w", "yaml"], 4, "no format yaml"],
    [["get", "a", "--endpoints", "nowhere"], 128, "--endpoints is"],
    [["get", "a", "--command-timeout", "5"], 128, "a duration"],
    [["get", "a", "--consistency", "eventual"], 128, "--consistency is"],
  ])("%j", async (args, code, text) => {
    const ran = await flotctl(args);
    expect([ran.code, ran.out]).toEqual([code, ""]);
    expect(ran.err).toContain(text);
    expect(ran.connected).toEqual([]);
  });

  test.each([
    [
      ["--prefix", "true"],
      ["true", "true1"],
    ],
    [
      ["--prefix=true", "true"],
      ["true", "true1"],
    ],
    [["--prefix=false", "true"], ["true"]],
    [["--hex=false", "--prefix", "false", "--fan-out"], ["false"]],
    [
      ["--prev-kv", "true", "w"],
      ["true", "true1"],
    ],
    [["--range", "false", "true"], ["false"]],
    [
      ["-w", "simple", "true", "--prefix"],
      ["true", "true1"],
    ],
  ])("a switch takes no word after it: del %j", async (args, gone) => {
    const client = new FakeClient();
    client.seed({ true: "1", true1: "2", w: "3", false: "4" });
    expect((await flotctl(["del", ...args], { client })).code).toBe(0);
    const left = ["true", "true1", "w", "false"].filter((key) => !gone.includes(key));
    expect([...client.entries.keys()]).toEqual(left);
  });

  test("del --prefix true w deletes nothing: two keys and a prefix exclude each other", async () => {
    const client = new FakeClient();
    client.seed({ w: "1", w1: "2" });
    expect((await flotctl(["del", "--prefix", "true", "w"], { client })).code).toBe(128);
    expect(client.entries.size).toBe(2);
  });

  test("true and false are values of flags with a value", async () => {
    const { connected } = await flotctl(["get", "a", "--keyspace", "true"]);
    expect(connected[0]?.keyspace).toBe("true");
  });

  test("a flag goes over its variable, that over the default", async () => {
    const env = {
      FLOTCTL_ENDPOINTS: "10.0.0.1:1,10.0.0.2:2",
      FLOTCTL_COMMAND_TIMEOUT: "250ms",
      FLOTCTL_KEYSPACE: "docs",
      FLOTCTL_HEX: "true",
    };
    const { connected, out } = await flotctl(["get", "a", "--command-timeout", "1s"], {
      env,
      client: seeded(),
    });
    expect(connected).toEqual([
      {
        endpoints: ["10.0.0.1:1", "10.0.0.2:2"],
        keyspace: "docs",
        level: "linearizable",
        requestTimeoutMs: 1000,
        dialTimeoutMs: 2000,
      },
    ]);
    expect(out).toBe("\\x61\n\\x31\n");
    const bad = await flotctl(["get", "a"], { env: { FLOTCTL_COMMAND_TIMEOUT: "soon" } });
    expect([bad.code, bad.err.includes("FLOTCTL_COMMAND_TIMEOUT")]).toEqual([128, true]);
  });

  test("help names every exit code and every command", async () => {
    const { out, code } = await flotctl(["--help"]);
    expect(code).toBe(0);
    for (const text of ["move-leader", "import", "keyspace", "128", "outcome unknown"]) {
      expect(out).toContain(text);
    }
    const help = await flotctl(["get", "--help"]);
    expect(help.out).toContain("--min-mod-rev");
    expect(help.out).toContain("--endpoints");
  });

  test("completes commands and flags", async () => {
    const commands = await flotctl(["--get-yargs-completions", "flotctl", "sha"]);
    expect(commands.out.split("\n")).toContain("shard");
    const flags = await flotctl(["--get-yargs-completions", "flotctl", "get", "--li"]);
    expect(flags.out.split("\n")).toContain("--limit");
  });

  test("no connection is exit code 2", async () => {
    const terminal = new FakeTerminal();
    const code = await runFlotctl(["get", "a"], terminal, () =>
      Promise.reject(notApplied("unavailable", "connection refused")),
    );
    expect(code).toBe(2);
    expect(terminal.err.text).toContain("cannot connect to 127.0.0.1:2379: connection refused");
  });

  test("Ctrl-C cuts off a request that hangs", async () => {
    const client = new FakeClient();
    client.get = () => new Promise(() => undefined);
    const { code, err } = await flotctl(["get", "a"], {
      client,
      meanwhile: (terminal) => setTimeout(() => terminal.interrupt(), 20),
    });
    expect(code).toBe(5);
    expect(err).toContain("interrupted");
  });
});

test("the README holds the table of exit codes", () => {
  const readme = readFileSync(new URL("../../src/cli/README.md", import.meta.url), "utf8");
  const table = readme.replaceAll(/ +/g, " ");
  for (const line of exitCodesText().split("\n").slice(1)) {
    const [, code, meaning] = /^\s+(\d+) {2}(.*)$/.exec(line) ?? [];
    expect(table).toContain(`| ${code} | ${meaning} |`);
  }
});
