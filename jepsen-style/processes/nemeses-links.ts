/** Faults of the links, between nodes and between clients and nodes. */
import type { Prng } from "../../src/base/prng.js";
import { CLIENTS } from "./links.js";
import type { LinkFault, Way } from "./links.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { leaderToStrike, shuffled } from "./nemesis.js";

interface Shape {
  readonly text: string;
  readonly ways: readonly Way[];
}

const CUT: LinkFault = { cut: true };
const RING_MIN = 5;

function bothWays(a: readonly string[], b: readonly string[]): readonly Way[] {
  return a.flatMap((x) =>
    b.flatMap((y): Way[] =>
      x === y
        ? []
        : [
            [x, y],
            [y, x],
          ],
    ),
  );
}

/** The leader, as far as known, and the others. */
function leaderAside(scene: Scene): readonly [string, readonly string[]] {
  const names = shuffled(scene.cluster.names, scene.prng);
  const leader = leaderToStrike(scene) ?? names[0]!;
  return [leader, names.filter((name) => name !== leader)];
}

/** A minority is cut off, of any size; one node by itself is a follower, leaders are `alone`. */
function halves(scene: Scene): Shape {
  const [leader, followers] = leaderAside(scene);
  const names = [leader, ...followers];
  const count = scene.prng.between(1, Math.max(1, Math.ceil(names.length / 2) - 1));
  const some = count === 1 ? followers.slice(0, 1) : shuffled(names, scene.prng).slice(0, count);
  const others = names.filter((name) => !some.includes(name));
  return { text: `${some.join(" ")} | ${others.join(" ")}`, ways: bothWays(some, others) };
}

function alone(scene: Scene): Shape {
  const [leader, others] = leaderAside(scene);
  return { text: `${leader} alone`, ways: bothWays([leader], others) };
}

function deaf(scene: Scene): Shape {
  const [leader, others] = leaderAside(scene);
  return { text: `${leader} hears nobody`, ways: others.map((other): Way => [other, leader]) };
}

function mute(scene: Scene): Shape {
  const [leader, others] = leaderAside(scene);
  return { text: `nobody hears ${leader}`, ways: others.map((other): Way => [leader, other]) };
}

/** Its word arrives everywhere, nobody's arrives there: no election, and nothing is committed. */
function sendsOnly(scene: Scene): Shape {
  const [leader, others] = leaderAside(scene);
  const ways = [...others, CLIENTS].map((other): Way => [other, leader]);
  return { text: `${leader} can only send`, ways };
}

/** Each sees a majority, and no two the same; of three nodes all would see each other. */
function ring(scene: Scene): Shape {
  const names = shuffled(scene.cluster.names, scene.prng);
  if (names.length < RING_MIN) return alone(scene);
  const reach = Math.max(1, Math.floor(names.length / 4));
  const ways = names.flatMap((a, i) =>
    names.flatMap((b, j): Way[] => {
      const apart = Math.abs(i - j);
      return Math.min(apart, names.length - apart) <= reach ? [] : [[a, b]];
    }),
  );
  return { text: `a ring of majorities: ${names.join(" ")}`, ways };
}

function bridge({ cluster, prng }: Scene): Shape {
  const [between = "", ...rest] = shuffled(cluster.names, prng);
  const some = rest.slice(0, rest.length >> 1);
  const others = rest.slice(rest.length >> 1);
  const text = `${some.join(" ")} | ${others.join(" ")}, ${between} sees both`;
  return { text, ways: bothWays(some, others) };
}

function clientsWithLeader(scene: Scene): Shape {
  const [leader, others] = leaderAside(scene);
  const ways = [...bothWays([leader], others), ...bothWays([CLIENTS], others)];
  return { text: `clients reach only ${leader}, which is alone`, ways };
}

function clientsWithoutLeader(scene: Scene): Shape {
  const [leader] = leaderAside(scene);
  return { text: `clients do not reach ${leader}`, ways: bothWays([CLIENTS], [leader]) };
}

/** A leader that is alone and does not know it yet is the hardest case: it is drawn most. */
const SHAPES: readonly ((scene: Scene) => Shape)[] = [
  alone,
  alone,
  alone,
  halves,
  deaf,
  sendsOnly,
  mute,
  ring,
  bridge,
  clientsWithLeader,
  clientsWithoutLeader,
];

function impose(scene: Scene, { text, ways }: Shape, fault: LinkFault): Fault {
  const heal = scene.cluster.links.impose(ways, fault);
  return { text, heal };
}

function draw<T>(list: readonly T[], prng: Prng): T {
  return list[prng.between(0, list.length - 1)]!;
}

/** All links of a few nodes, or of all. */
function someLinks(scene: Scene): Shape {
  const { cluster, prng } = scene;
  const names = shuffled(cluster.names, prng);
  const hit = prng.chance(0.5) ? names : names.slice(0, prng.between(1, 2));
  return { text: hit.join(" "), ways: bothWays(hit, [...names, CLIENTS]) };
}

/** Pairs, those of clients and nodes too; in every other case one way only. */
function swizzle({ cluster, prng }: Scene): Fault {
  const names = [...cluster.names, CLIENTS];
  const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b): Way => [a, b]));
  const hit = shuffled(pairs, prng).slice(0, prng.between(2, pairs.length));
  const waiting = [...hit];
  let cut: (() => void)[] = [];
  const timer = setInterval(
    () => {
      const [a, b] = waiting.pop() ?? [];
      if (a === undefined || b === undefined) return clearInterval(timer);
      const ways = prng.chance(0.5) ? bothWays([a], [b]) : [[a, b] as const];
      cut.push(cluster.links.impose(ways, CUT));
    },
    prng.between(30, 400),
  );
  const heal = async (): Promise<string> => {
    clearInterval(timer);
    const done = cut.length;
    for (const mend of shuffled(cut, prng)) {
      mend();
      await new Promise((resolve) => setTimeout(resolve, prng.between(0, 200)));
    }
    cut = [];
    return `${done} were cut`;
  };
  return { text: `swizzle ${hit.map((pair) => pair.join("-")).join(" ")}`, heal };
}

function badLinks(name: string, about: string, faultOf: (prng: Prng) => LinkFault): Nemesis {
  return {
    name,
    about,
    needsProxies: true,
    holdMs: [2000, 8000],
    strike: (scene) => {
      const fault = faultOf(scene.prng);
      const { text, ways } = someLinks(scene);
      return impose(scene, { text: `${name} ${text} ${JSON.stringify(fault)}`, ways }, fault);
    },
  };
}

export const LINK_NEMESES: readonly Nemesis[] = [
  {
    name: "partition",
    about: "halves, leader alone, one-way in or out, only sending, rings, bridge, clients cut off",
    holdMs: [1000, 8000],
    strike: (scene) => {
      const { text, ways } = draw(SHAPES, scene.prng)(scene);
      return impose(scene, { text: `partition ${text}`, ways }, CUT);
    },
  },
  {
    name: "flap",
    about: "a partition that comes and goes every few hundred milliseconds",
    holdMs: [2000, 6000],
    strike: (scene) => {
      const { text, ways } = draw(SHAPES, scene.prng)(scene);
      const shape = { text: `flap ${text}`, ways };
      let fault: Fault | undefined;
      const timer = setInterval(
        () => {
          const before = fault;
          fault = before === undefined ? impose(scene, shape, CUT) : undefined;
          void before?.heal();
        },
        scene.prng.between(100, 900),
      );
      const heal = (): void => {
        clearInterval(timer);
        void fault?.heal();
      };
      return { text: shape.text, heal };
    },
  },
  {
    name: "swizzle",
    about: "links are cut one by one, and healed one by one in another order",
    holdMs: [2000, 6000],
    strike: swizzle,
  },
  badLinks("slow", "links with delay and jitter, up to beyond an election timeout", (prng) => ({
    delayMs: prng.between(5, 200),
    jitterMs: prng.between(0, 300),
  })),
  badLinks(
    "lossy",
    "links where a tenth to a third of what is sent has to be sent again",
    (prng) => ({
      loss: prng.between(10, 33) / 100,
      delayMs: 2,
    }),
  ),
  badLinks("narrow", "links of 20 to 200 KB a second", (prng) => ({
    bytesPerSecond: prng.between(20, 200) * 1000,
  })),
  {
    name: "reset",
    about: "connections are broken off, again and again",
    holdMs: [1000, 4000],
    strike: ({ cluster, prng }) => {
      const timer = setInterval(
        () => {
          const [a = "", b = ""] = shuffled([...cluster.names, CLIENTS], prng);
          cluster.links.reset(a, b);
        },
        prng.between(20, 200),
      );
      return { text: "connections reset", heal: () => clearInterval(timer) };
    },
  },
];
