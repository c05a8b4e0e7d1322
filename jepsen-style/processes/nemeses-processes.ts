/** Faults of whole processes. */
import type { Nemesis } from "./nemesis.js";
import { leaderToStrike, shuffled, startAgain, targets } from "./nemesis.js";

export const PROCESS_NEMESES: readonly Nemesis[] = [
  {
    name: "kill",
    about: "SIGKILL for the leader, followers, learners, some, a majority or all; started again",
    holdMs: [500, 4000],
    strike: async (scene) => {
      const names = targets(scene);
      await Promise.all(names.map((name) => scene.cluster.node(name).kill()));
      return { text: `kill ${names.join(" ")}`, heal: () => startAgain(scene.cluster, names) };
    },
  },
  {
    name: "pause",
    about: "SIGSTOP for the same, for longer than leases and elections; released unevenly",
    holdMs: [200, 5000],
    strike: (scene) => {
      const { cluster, prng } = scene;
      const names = targets(scene);
      for (const name of names) cluster.node(name).hold();
      const heal = async (): Promise<void> => {
        for (const name of shuffled(names, prng)) {
          if (cluster.names.includes(name)) cluster.node(name).release();
          await new Promise((resolve) => setTimeout(resolve, prng.between(0, 300)));
        }
      };
      return { text: `pause ${names.join(" ")}`, heal };
    },
  },
  {
    name: "restart",
    about: "SIGTERM for one node, which hands over; started again",
    holdMs: [100, 2000],
    strike: async (scene) => {
      const { cluster, prng } = scene;
      const draw = cluster.names[prng.between(0, cluster.names.length - 1)]!;
      const name = prng.chance(0.5) ? (leaderToStrike(scene) ?? draw) : draw;
      if (!cluster.names.includes(name) || cluster.node(name).state !== "running") return undefined;
      await cluster.node(name).stop();
      return { text: `restart ${name}`, heal: () => startAgain(cluster, [name]) };
    },
  },
];
