/** Faults of the links, between nodes and between clients and nodes. */
import type { Prng } from "../../src/base/prng.js";
import { CLIENTS } from "./links.js";
import type { LinkFault } from "./links.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled } from "./nemesis.js";

/** From whom to whom. */
type Way = readonly [string, string];

interface Shape {
  readonly text: string;
  readonly ways: readonly Way[];
}

const CUT: LinkFault = { cut: true };

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
function leaderAside({ cluster, leaders, prng }: Scene): readonly [string, readonly string[]] {
  const names = shuffled(cluster.names, prng);
  const known = leaders.leader;
  const leader = known !== undefined && names.includes(known) ? known : names[0]!;
  return [leader, names.filter((name) => name !== leader)];
}

const SHAPES: readonly ((scene: Scene) => Shape)[] = [
  ({ cluster, prng }) => {
    const names = shuffled(cluster.names, prng);
    const some = names.slice(0, Math.ceil(names.length / 2) - 1);
    const others = names.filter((name) => !some.includes(name));
    return {
      text: `halves: ${some.join(" ")} | ${others.join(" ")}`,
      ways: bothWays(some, others),
    };
  },
  (scene) => {
    const [leader, others] = leaderAside(scene);
    return { text: `${leader} alone`, ways: bothWays([leader], others) };
  },
  (scene) => {
    const [leader, others] = leaderAside(scene);
    return { text: `${leader} hears nobody`, ways: others.map((other): Way => [other, leader]) };
  },
  (scene) => {
    const [leader, others] = leaderAside(scene);
    return { text: `nobody hears ${leader}`, ways: others.map((other): Way => [leader, other]) };
  },
  ({ cluster, prng }) => {
    // Each sees a majority, and no two the same.
    const names = shuffled(cluster.names, prng);
    const reach = Math.floor(names.length / 4);
    const isNear = (i: number, j: number): boolean => {
      const apart = Math.abs(i - j);
      return Math.min(apart, names.length - apart) <= Math.max(1, reach);
    };
    const ways = names.flatMap((a, i) =>
      names.flatMap((b, j): Way[] => (i === j || isNear(i, j) ? [] : [[a, b]])),
    );
    return { text: `a ring of majorities: ${names.join(" ")}`, ways };
  },
  ({ cluster, prng }) => {
    const [bridge = "", ...rest] = shuffled(cluster.names, prng);
    const half = rest.slice(0, rest.length >> 1);
    const others = rest.slice(rest.length >> 1);
    return {
      text: `${half.join(" ")} | ${others.join(" ")}, ${bridge} sees both`,
      ways: bothWays(half, others),
    };
  },
  (scene) => {
    const [leader, others] = leaderAside(scene);
    const ways = bothWays([leader], others).concat(bothWays([CLIENTS], others));
    return { text: `clients reach only ${leader}, which is alone`, ways };
  },
  (scene) => {
    const [leader] = leaderAside(scene);
    return { text: `clients do not reach ${leader}`, ways: bothWays([CLIENTS], [leader]) };
  },
];

function impose(scene: Scene, { text, ways }: Shape, fault: LinkFault): Fault {
  const { links } = scene.cluster;
  for (const [from, to] of ways) links.set(from, to, fault);
  const heal = (): void => {
    for (const [from, to] of ways) links.set(from, to, undefined);
  };
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

function badLinks(name: string, about: string, faultOf: (prng: Prng) => LinkFault): Nemesis {
  return {
    name,
    about,
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
    about: "halves, leader alone, one-way in or out, ring of majorities, bridge, clients cut off",
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
