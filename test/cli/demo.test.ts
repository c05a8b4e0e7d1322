/** The demo's plan and picture, and its processes by way of small programs in place of nodes. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DemoNode } from "../../src/cli/demo-node.js";
import {
  checkPortsFree,
  choosePorts,
  planNodes,
  rememberedPorts,
  rememberPorts,
} from "../../src/cli/demo-plan.js";
import { DemoScreen } from "../../src/cli/demo-screen.js";
import { busiest, nodeLine, type NodeView } from "../../src/cli/demo-view.js";
import type { ReplicaStatus } from "../../src/protocol/admin-messages.js";
import { FakeTerminal } from "./fake-terminal.js";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-test-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const BASE_PORT = 23_790 + (process.pid % 500) * 2;

describe("the plan", () => {
  test("replaces ports that are taken, and remembers its choice", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(BASE_PORT, "127.0.0.1", resolve));
    const { ports, taken } = await choosePorts(BASE_PORT);
    expect(taken).toContain(BASE_PORT);
    expect(ports).toHaveLength(3);
    expect(ports[0]?.client).not.toBe(BASE_PORT);
    expect(rememberedPorts(directory)).toBeUndefined();
    rememberPorts(directory, ports);
    expect(rememberedPorts(directory)).toEqual(ports);
    await checkPortsFree(ports);
    const busy = [{ client: BASE_PORT, peer: BASE_PORT + 1 }];
    await expect(checkPortsFree(busy)).rejects.toThrow(`port ${BASE_PORT} is taken`);
    await new Promise((resolve) => server.close(resolve));
    await expect(choosePorts(40_000)).rejects.toThrow("--base-port");
  });

  test("eight shards with data on three nodes that know each other", () => {
    const ports = [1, 2, 3].map((n) => ({ client: n, peer: n + 10 }));
    const plans = planNodes(directory, ports);
    expect(plans.map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
    const args = plans[1]?.args.join(" ");
    expect(args).toContain("--initial-cluster n1=127.0.0.1:11,n2=127.0.0.1:12,n3=127.0.0.1:13");
    expect(args).toContain("--initial-keyspace docs:range:split=g,p");
    expect(args).toContain("--initial-keyspace files:hash:shards=4");
    expect(args).toContain(`--data-dir ${join(directory, "n2")}`);
  });
});

function replica(role: ReplicaStatus["role"], revision: number): ReplicaStatus {
  return {
    shardId: 1,
    keyspaceId: 1,
    replicaId: 1,
    role,
    leaderNodeId: 1,
    term: 4,
    commitIndex: 9,
    appliedIndex: 9,
    revision,
    closedRevision: 1,
    compactedRevision: 0,
    storedBytes: 10,
  };
}

function view(name: string, roles: readonly ReplicaStatus["role"][]): NodeView {
  return {
    name,
    runs: true,
    exit: undefined,
    status: {
      clusterId: "c",
      nodeId: 1,
      name,
      version: "0",
      run: 1,
      uptimeMs: 1,
      storedBytes: 2048,
      replicas: roles.map((role, at) => replica(role, at)),
    },
    heardMs: 40,
    memoryBytes: 3 * 1024 * 1024,
    commandText: "node start",
  };
}

describe("the picture", () => {
  test("one line a node, and who is down, silent or starting", () => {
    const up = view("n1", ["leader", "follower", "leader"]);
    expect(nodeLine(up, true)).toEqual({
      text:
        "n1  ● up  leads 2/3  term 4  revision 2  applied 27  data 2.0 KiB  memory 3.0 MiB  " +
        "heartbeat 40ms ago",
      style: undefined,
    });
    expect(nodeLine({ ...up, heardMs: 5000 }, true).text).toContain("? silent");
    const down = { ...up, runs: false, exit: { code: null, signal: "SIGKILL" } };
    const text = "n1  ✗ down (killed by SIGKILL)";
    expect(nodeLine(down, false)).toEqual({ text, style: "red" });
    expect(nodeLine(down, true).text).toBe(`${text}  press r to start it again`);
    expect(nodeLine({ ...up, status: undefined, heardMs: undefined }, true).style).toBe("yellow");
  });

  test("the busiest node is the one that leads most, if it runs", () => {
    const views = [view("n1", ["leader"]), view("n2", ["leader", "leader"]), view("n3", [])];
    expect(busiest(views)?.name).toBe("n2");
    expect(busiest(views.map((one) => ({ ...one, runs: one.name === "n3" })))?.name).toBe("n3");
    expect(busiest([])).toBeUndefined();
  });

  test("redraws in place on a terminal, repeats itself rarely elsewhere", () => {
    for (const isTTY of [true, false]) {
      const terminal = new FakeTerminal({ isTTY, env: { NO_COLOR: "1" } });
      const screen = new DemoScreen(terminal, () => [view("n1", ["leader"])]);
      screen.start();
      screen.say("hello");
      screen.stop();
      expect(terminal.out.text.includes("\u001b[1A\u001b[J")).toBe(isTTY);
      expect(terminal.out.text).toContain("hello\n");
    }
  });
});

test("how to start a dead node is said once, whole", () => {
  const command = `node start ${"x".repeat(200)}`;
  const down = { ...view("n1", []), runs: false, commandText: command };
  const terminal = new FakeTerminal({ isTTY: true, env: { NO_COLOR: "1" } });
  const screen = new DemoScreen(terminal, () => [down]);
  for (let n = 0; n < 2; n++) {
    screen.start();
    screen.stop();
  }
  expect(terminal.out.text.split(command)).toHaveLength(2);
  expect(terminal.out.text).toContain("press r to start it again\n");
});

test("a directory below one that refuses is refused", () => {
  rememberPorts(join(directory, "a", "b"), []);
  expect(existsSync(join(directory, "a", "b", "demo.json"))).toBe(true);
  writeFileSync(join(directory, "file"), "");
  expect(() => rememberPorts(join(directory, "file", "x", "y"), [])).toThrow("mkdir");
});

describe("its processes", () => {
  function nodeRunning(program: string): DemoNode {
    const file = join(directory, "program.mjs");
    writeFileSync(file, program);
    const [plan] = planNodes(directory, [{ client: 1, peer: 2 }]);
    return new DemoNode(plan!, [process.execPath, file]);
  }

  const OBEDIENT = `process.on("SIGTERM", () => process.exit(0));
    setInterval(() => undefined, 1000); console.log("ready", process.env.UV_THREADPOOL_SIZE);`;
  const STUBBORN = `process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1000);
    console.log("ready");`;

  async function ready(node: DemoNode): Promise<string> {
    for (;;) {
      const text = existsSync(node.plan.logFile) ? readFileSync(node.plan.logFile, "utf8") : "";
      if (text.includes("ready") && text.endsWith("\n")) return text;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  test("are asked to end first, killed then, and can start again", async () => {
    const node = nodeRunning(STUBBORN);
    node.start();
    const { pid } = node;
    node.start();
    expect(node.pid).toBe(pid);
    expect(node.memoryBytes() ?? 1).toBeGreaterThan(0);
    await ready(node);
    await node.stop(50);
    expect([node.runs, node.exit?.signal]).toEqual([false, "SIGKILL"]);
    expect(() => process.kill(pid!, 0)).toThrow("ESRCH");
    node.start();
    expect(node.runs).toBe(true);
    await node.stop(0);
  });

  test("end by themselves when asked", async () => {
    const node = nodeRunning(OBEDIENT);
    node.start();
    expect(await ready(node)).toMatch(/^ready \d+\n$/);
    await node.stop(5000);
    expect(node.exit).toEqual({ code: 0, signal: null });
    await node.stop(0);
  });

  test("one that cannot be started is down", async () => {
    const [plan] = planNodes(directory, [{ client: 1, peer: 2 }]);
    const node = new DemoNode(plan!, [join(directory, "no-such-program")]);
    node.start();
    await node.stop(1000);
    expect(node.runs).toBe(false);
    expect(node.commandText()).toContain("no-such-program start --name n1");
  });
});
