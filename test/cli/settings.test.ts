/** Where a node's settings come from, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import type { StartedNode } from "../../src/cli/node-context.js";
import {
  DEFAULT_SETTINGS,
  NODE_SETTINGS,
  type NodeSettings,
  parseKeyspace,
} from "../../src/cli/node-settings.js";
import { fileKey, resolveSettings } from "../../src/cli/resolve-settings.js";
import { runFlotilla } from "../../src/cli/run-flotilla.js";
import type { NodeConfig } from "../../src/node/config.js";
import { FakeTerminal } from "./fake-terminal.js";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-test-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly configs: readonly NodeConfig[];
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly node?: Partial<StartedNode>;
  readonly interruptions?: number;
}

async function flotilla(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const terminal = new FakeTerminal({ env: options.env });
  const configs: NodeConfig[] = [];
  const code = await runFlotilla(args, terminal, {
    connect: () => Promise.reject(new Error("no cluster here")),
    openDisk: () => Promise.reject(new Error("no disk here")),
    openEnv: () => Promise.reject(new Error("no env here")),
    startNode: (config) => {
      configs.push(config);
      setTimeout(() => {
        for (let n = 0; n < (options.interruptions ?? 1); n++) terminal.interrupt();
      }, 5);
      return Promise.resolve({
        clientAddress: config.listenClient,
        failed: new Promise<Error>(() => undefined),
        close: () => Promise.resolve(),
        ...options.node,
      });
    },
  });
  return { code, out: terminal.out.text, err: terminal.err.text, configs };
}

describe("precedence", () => {
  const sources = { argv: {}, env: {}, file: {}, fileName: "node.json" };

  test("flag over variable over file over default, each with its origin", () => {
    const file = { name: "file", heartbeatInterval: "60ms", labels: { zone: "a" }, memory: 1000 };
    const env = { FLOTILLA_NAME: "env", FLOTILLA_HEARTBEAT_INTERVAL: "70ms" };
    const argv = { name: "flag" };
    const { settings, origins } = resolveSettings({ ...sources, argv, env, file });
    expect(settings).toMatchObject({
      name: "flag",
      heartbeatMs: 70,
      labels: { zone: "a" },
      memtablesBytesMax: 1000,
      leaderLeaseMs: DEFAULT_SETTINGS.leaderLeaseMs,
    });
    expect(origins.get("name")).toBe("--name");
    expect(origins.get("heartbeat-interval")).toBe("FLOTILLA_HEARTBEAT_INTERVAL");
    expect(origins.get("labels")).toBe("labels in node.json");
    expect(origins.get("leader-lease")).toBe("default");
  });

  test.each([
    { argv: { "heartbeat-interval": "fast" } },
    { env: { FLOTILLA_HEARTBEAT_INTERVAL: "5" } },
    { file: { heartbeatInterval: true } },
    { file: { labels: "zone" } },
    { env: { FLOTILLA_LOG_LEVEL: "loud" } },
    { argv: { "initial-keyspace": ["docs:tree"] } },
    { file: { heartbeat: "50ms" } },
    { file: { heartbeatMs: 50 } },
    { file: { name: 5 } },
    { file: { name: ["n1", "n2"] } },
    { file: { name: { n: "1" } } },
    { file: { memory: ["1MiB"] } },
    { file: { labels: { rack: 7 } } },
    { file: { initialKeyspace: [5] } },
  ])("a bad value is an error wherever it stands: %j", (bad) => {
    const resolve = (): unknown => resolveSettings({ ...sources, ...bad });
    expect(resolve).toThrow(expect.objectContaining({ exitCode: 128 }));
  });

  const shown = NODE_SETTINGS.filter(({ flag }) => flag !== "initial-keyspace");
  test.each(shown.map((setting) => [setting.flag, setting] as const))(
    "what %s shows is what it parses",
    (_, setting) => {
      const settings: NodeSettings = {
        ...DEFAULT_SETTINGS,
        initialCluster: [
          { name: "n1", peerAddress: "127.0.0.1:2380" },
          { name: "n2", peerAddress: "[::1]:22380" },
        ],
        labels: { zone: "a", rack: "7" },
        requestSizeBytesMax: 1_572_864,
        leaderLeaseMs: 0,
      };
      expect(setting.parse([setting.show(settings)])).toEqual(settings[setting.field]);
    },
  );

  test.each([
    ["-1", -1],
    ["-5", -1],
    ["0", 0],
    ["1.5GiB", 1_610_612_736],
    ["-1GiB", undefined],
    ["none", undefined],
  ])("a quota of %s", (text, bytes) => {
    const setting = NODE_SETTINGS.find(({ flag }) => flag === "quota-bytes")!;
    expect(setting.parse([text])).toBe(bytes);
    const none = setting.show({ ...DEFAULT_SETTINGS, quotaBytes: -1 });
    expect(setting.parse([none])).toBe(-1);
  });

  test("every field of the configuration has a setting, and no key is used twice", () => {
    const fields: string[] = NODE_SETTINGS.map(({ field }) => field);
    // The limits of replication are for whoever embeds a node, such as the simulator.
    expect([...fields, "flow"].sort()).toEqual(Object.keys(DEFAULT_SETTINGS).sort());
    expect(new Set(NODE_SETTINGS.map(({ flag }) => fileKey(flag))).size).toBe(fields.length);
  });
});

describe("initial keyspaces", () => {
  test("by range and by hash", () => {
    expect(parseKeyspace("docs:range:split=g,p:replicas=5")).toEqual({
      name: "docs",
      kind: "range",
      splitPoints: [utf8("g"), utf8("p")],
      shardCount: 3,
      replicationFactor: 5,
    });
    expect(parseKeyspace("files:hash:shards=8")).toMatchObject({ kind: "hash", shardCount: 8 });
    expect(parseKeyspace("docs:range")).toMatchObject({ splitPoints: [], shardCount: 1 });
  });

  test.each([
    "docs",
    ":range",
    "docs:tree",
    "docs:range:shards=3",
    "docs:range:split=",
    "files:hash:split=a",
    "files:hash:shards=0",
    "files:hash:shards=x",
    "files:hash:8",
  ])("refuses %s", (text) => {
    expect(parseKeyspace(text)).toBeUndefined();
  });

  test("repeats as a flag, and has its own separator in the environment", async () => {
    const twice = ["--initial-keyspace", "a:range", "--initial-keyspace", "b:hash:shards=2"];
    const flags = await flotilla(["start", ...twice]);
    const env = { FLOTILLA_INITIAL_KEYSPACE: "a:range;b:hash:shards=2" };
    const variable = await flotilla(["start"], { env });
    for (const { configs } of [flags, variable]) {
      expect(configs[0]?.initialKeyspaces.map(({ name }) => name)).toEqual(["a", "b"]);
    }
  });
});

describe("start", () => {
  test("prints every setting with its origin, and starts nothing", async () => {
    const path = join(directory, "node.json");
    writeFileSync(path, '{"listenClient": "127.0.0.1:9999"}');
    const args = ["start", "--config-file", path, "--name", "n7", "--print-config"];
    const { code, out, configs } = await flotilla(args, { env: { FLOTILLA_LABELS: "zone=b" } });
    expect([code, configs]).toEqual([0, []]);
    expect(out).toMatch(/^name +n7 +\(--name\)$/m);
    expect(out).toMatch(/^labels +zone=b +\(FLOTILLA_LABELS\)$/m);
    expect(out).toContain(`(listenClient in ${path})`);
    expect(out).toMatch(/^heartbeat-interval +50ms +\(default\)$/m);
  });

  test("refuses settings that do not fit together", async () => {
    const { code, err } = await flotilla(["start", "--election-timeout-min", "60ms"]);
    expect(code).toBe(128);
    expect(err).toContain(
      "--election-timeout-min must be at least four times --heartbeat-interval",
    );
    expect((await flotilla(["start", "--bogus"])).code).toBe(128);
    const errorOf = async (...args: string[]): Promise<string> =>
      (await flotilla(["start", ...args])).err;
    expect(await errorOf("--listen-client", "x")).toContain("--listen-client must be host:port");
    expect(await errorOf("--name", "")).toContain("Error: --name must be 1 to 64");
    expect(await errorOf("--initial-cluster", "n9=a:1")).toContain("must name this node");
    expect(await errorOf("--heartbeat-interval", "1ms")).toContain("must be at least 5ms");
  });

  test("refuses a file that is missing, broken or of another shape", async () => {
    const path = join(directory, "node.json");
    expect((await flotilla(["start", "--config-file", path])).code).toBe(6);
    for (const text of ["{", "[]", '{"nmae": "n1"}']) {
      writeFileSync(path, text);
      const { code, err } = await flotilla(["start", "--config-file", path]);
      expect(code).toBe(128);
      expect(err).toContain(path);
    }
  });

  test("a value of the wrong type in the file is named with what it must be", async () => {
    const path = join(directory, "node.json");
    writeFileSync(path, '{"name": 5}');
    const { err } = await flotilla(["start", "--config-file", path]);
    expect(err).toContain(`name in ${path} is 5, but must be a text`);
  });

  test("ends in order when asked once", async () => {
    let closed = 0;
    const close = (): Promise<void> => {
      closed++;
      return Promise.resolve();
    };
    const { code } = await flotilla(["start", "--name", "n1"], { node: { close } });
    expect([code, closed]).toEqual([0, 1]);
  });

  test("asked twice it does not wait", async () => {
    const close = (): Promise<void> => new Promise(() => undefined);
    const { code } = await flotilla(["start"], { node: { close }, interruptions: 2 });
    expect(code).toBe(5);
  });

  test("says why a node stopped itself", async () => {
    const failed = Promise.resolve(new Error("the disk failed"));
    const { code, err } = await flotilla(["start"], { node: { failed }, interruptions: 0 });
    expect(code).toBe(1);
    expect(err).toContain("the node stopped itself: the disk failed");
  });
});
