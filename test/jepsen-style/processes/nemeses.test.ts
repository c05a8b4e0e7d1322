/** Whom nemeses strike, what they cut, and what of an answer they take for wrong. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Cluster } from "../../../jepsen-style/processes/cluster.js";
import type { LeaderWatch } from "../../../jepsen-style/processes/leader-watch.js";
import type { Way } from "../../../jepsen-style/processes/links.js";
import { judgeSnapshot, refusalOf } from "../../../jepsen-style/processes/nemeses-admin.js";
import { slowClients } from "../../../jepsen-style/processes/nemeses-overload.js";
import { nemesesNamed } from "../../../jepsen-style/processes/nemeses.js";
import { leaderToStrike, targets } from "../../../jepsen-style/processes/nemesis.js";
import type { Fault, Scene } from "../../../jepsen-style/processes/nemesis.js";
import { CliError } from "../../../src/cli/failure.js";
import { KvError, notApplied } from "../../../src/protocol/errors.js";
import { Prng } from "../../../src/base/prng.js";
import { eventually } from "../../support/eventually.js";

const NAMES = ["n1", "n2", "n3", "n4", "n5"];
/** Far more than the system holds for a socket. */
const PUSHED_BYTES = 32 * 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What is drawn under many seeds. */
function drawnFrom<T>(draw: (scene: Scene) => T, leaders: object): readonly T[] {
  return Array.from({ length: 400 }, (_, seed) =>
    draw({ ...sceneOf({}, seed), leaders: { learners: [], ...leaders } as unknown as LeaderWatch }),
  );
}

function sceneOf(cluster: object, seed: number, learners: readonly string[] = []): Scene {
  return {
    cluster: { names: NAMES, ...cluster } as unknown as Cluster,
    leaders: { leader: "n3", learners } as unknown as LeaderWatch,
    prng: new Prng(seed),
    damaged: "n1",
    blame: expect.unreachable,
  };
}

test("struck are leaders, followers without it, learners, some and all", () => {
  const drawn = Array.from({ length: 300 }, (_, seed) => targets(sceneOf({}, seed, ["n5"])));
  const isDrawn = (names: readonly string[]): boolean =>
    drawn.some((each) => [...each].sort().join() === names.join());
  expect([["n3"], ["n5"], ["n1", "n2"], NAMES].map(isDrawn)).toEqual([true, true, true, true]);
  expect(Math.min(...drawn.map(({ length }) => length))).toBe(1);
  const leaderAlone = drawn.filter((each) => each.join() === "n3").length;
  expect(leaderAlone).toBeGreaterThan(drawn.length / 5);
});

test("of leaders a quarter is the placement group's, and none that is not a member", () => {
  const placed = drawnFrom(leaderToStrike, { leader: "n3", placementLeader: "n5" });
  expect(new Set(placed)).toEqual(new Set(["n3", "n5"]));
  const share = placed.filter((name) => name === "n5").length / placed.length;
  expect(share).toBeGreaterThan(0.15);
  expect(share).toBeLessThan(0.35);
  expect(new Set(drawnFrom(leaderToStrike, { leader: "n3" }))).toEqual(new Set(["n3"]));
  const gone = drawnFrom(leaderToStrike, { leader: "n3", placementLeader: "n9" });
  expect(new Set(gone)).toEqual(new Set(["n3", undefined]));
  const struck = drawnFrom(targets, { leader: "n3", placementLeader: "n9" });
  expect(Math.min(...struck.map(({ length }) => length))).toBe(1);
});

test("a minority of each size is cut off, one node by itself being a follower", () => {
  const [partition] = nemesesNamed("partition");
  const impose = (): (() => void) => () => undefined;
  const sidesOf = (names: readonly string[]): readonly string[] => {
    const texts = Array.from({ length: 400 }, (_, seed) => {
      const scene = sceneOf({ names, links: { impose } }, seed);
      return (partition!.strike(scene) as Fault).text;
    });
    const halves = texts.filter((text) => text.includes(" | ") && !text.includes("both"));
    return halves.map((text) => text.slice("partition ".length).split(" | ")[0]!);
  };
  const sizes = (names: readonly string[]): ReadonlySet<number> =>
    new Set(sidesOf(names).map((side) => side.split(" ").length));
  expect(sizes(NAMES)).toEqual(new Set([1, 2]));
  expect(sizes([...NAMES, "n6", "n7"])).toEqual(new Set([1, 2, 3]));
  const three = sidesOf(["n1", "n2", "n3"]);
  expect(new Set(three)).toEqual(new Set(["n1", "n2"]));
  const alone = sidesOf(NAMES).filter((side) => !side.includes(" "));
  expect(new Set(alone)).toEqual(new Set(["n1", "n2", "n4", "n5"]));
});

test("swizzle cuts link after link, and mends each of them in another order", async () => {
  const present = new Set<string>();
  const cuts: string[] = [];
  const mends: string[] = [];
  const impose = (ways: readonly Way[]): (() => void) => {
    const name = JSON.stringify(ways);
    present.add(name);
    cuts.push(name);
    return () => {
      present.delete(name);
      mends.push(name);
    };
  };
  const [swizzle] = nemesesNamed("swizzle");
  const fault = (await swizzle!.strike(sceneOf({ links: { impose } }, 5))) as Fault;
  expect(cuts).toEqual([]);
  await vi.advanceTimersByTimeAsync(900);
  const some = cuts.length;
  expect(some).toBeGreaterThan(1);
  await vi.advanceTimersByTimeAsync(900);
  expect(cuts.length).toBeGreaterThan(some);
  const healed = fault.heal();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await healed).toBe(`${cuts.length} were cut`);
  expect(present.size).toBe(0);
  expect([...mends].sort()).toEqual([...cuts].sort());
  expect(mends).not.toEqual(cuts);
});

test("a snapshot without its hash is not whole, nor is one without a byte", () => {
  const file = Buffer.from("a file");
  const whole = Buffer.concat([file, createHash("sha256").update(file).digest()]);
  expect(judgeSnapshot(whole).isWrong).toBe(false);
  for (const bytes of [Buffer.of(), file, whole.subarray(1), whole.subarray(0, -1)]) {
    expect(judgeSnapshot(bytes).isWrong).toBe(true);
  }
});

test("a refusal has words; a broken one is wrong, and so is what is no refusal", () => {
  expect(refusalOf(notApplied("overloaded", "too much")).isWrong).toBe(false);
  expect(refusalOf(new CliError(1, "no leader")).isWrong).toBe(false);
  expect(refusalOf(new KvError("internal", "x is not a function", "unknown")).isWrong).toBe(true);
  expect(refusalOf(notApplied("unavailable", "")).isWrong).toBe(true);
  expect(refusalOf(new TypeError("x is not a function")).isWrong).toBe(true);
});

test("slow clients ask for much, read nothing while it lasts, and half of them read then", async () => {
  vi.useRealTimers();
  let asked = "";
  let written = 0;
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Uint8Array) => (asked += String(bytes)));
    socket.write(new Uint8Array(PUSHED_BYTES), () => (written += PUSHED_BYTES));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const fault = slowClients(sceneOf({ advertised: () => ({ client: `127.0.0.1:${port}` }) }, 1));
  await eventually(() => asked.includes("/v3/watch") && asked.includes("/v3/kv/range"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(written).toBe(0);
  const heard = Number(/heard (\d+) bytes/.exec(String(await fault.heal()))?.[1]);
  expect(heard).toBeGreaterThan(0);
  server.close();
});
