/** Faults of disks: of a running node by its preload, of one that is down by its files. */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../src/base/prng.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled, startAgain, targets } from "./nemesis.js";
import { NO_DISK_FAULTS } from "./orders.js";
import type { DiskFaults } from "./orders.js";

const FLIPS_MAX = 4;
/** A node whose disk fails may end by itself, and takes so long: then it is started again. */
const ENDING_MS = 1500;
const ENDING_MS_MAX = 10_000;

/** A minority has bad disks at a time. */
function bad(scene: Scene, count: number, faults: DiskFaults, text: string): Fault {
  const { cluster, prng } = scene;
  const names = shuffled(cluster.names, prng).slice(0, count);
  for (const name of names) {
    cluster.node(name).mayEndUntilMs = Infinity;
    cluster.node(name).setDiskFaults(faults);
  }
  const heal = async (): Promise<void> => {
    const left = names.filter((name) => cluster.names.includes(name));
    for (const name of left) {
      cluster.node(name).setDiskFaults();
      cluster.node(name).mayEndUntilMs = performance.now() + ENDING_MS_MAX;
    }
    await new Promise((resolve) => setTimeout(resolve, ENDING_MS));
    startAgain(cluster, left);
  };
  return { text: `${text} ${names.join(" ")}`, heal };
}

function minority({ cluster, prng }: Scene): number {
  return prng.between(1, Math.max(1, Math.ceil(cluster.names.length / 2) - 1));
}

/** Flips single bits in the files of a node that is down. */
async function flip(scene: Scene): Promise<Fault> {
  const { cluster, prng, damaged } = scene;
  await cluster.node(damaged).kill();
  const files = filesBelow(cluster.directoryOf(damaged)).filter((file) => !isSpared(file));
  const flips = prng.between(1, FLIPS_MAX);
  const hit: string[] = [];
  for (let i = 0; i < flips && files.length > 0; i++) {
    const file = files[prng.between(0, files.length - 1)]!;
    if (flipBit(file, prng)) hit.push(file.slice(cluster.directoryOf(damaged).length + 1));
  }
  const text = `flip bits of ${damaged}: ${hit.join(" ")}`;
  return { text, heal: () => startAgain(cluster, [damaged]) };
}

/** What is kept twice is damaged on one side only: with both copies gone a node may refuse. */
function isSpared(file: string): boolean {
  return existsSync(`${file}.copy`);
}

/** None of a disk that was lost a moment ago. */
function filesBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((each) => join(each.parentPath, each.name));
}

function flipBit(file: string, prng: Prng): boolean {
  const descriptor = openSync(file, "r+");
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return false;
    const at = prng.between(0, size - 1);
    const byte = new Uint8Array(1);
    readSync(descriptor, byte, 0, 1, at);
    byte[0] = byte[0]! ^ (1 << prng.between(0, 7));
    writeSync(descriptor, byte, 0, 1, at);
    return true;
  } finally {
    closeSync(descriptor);
  }
}

export const DISK_NEMESES: readonly Nemesis[] = [
  {
    name: "stall",
    about: "each write and sync of a minority's disks takes up to 3 seconds",
    holdMs: [2000, 6000],
    strike: (scene) => {
      const stallMs = scene.prng.between(50, 3000);
      return bad(scene, minority(scene), { ...NO_DISK_FAULTS, stallMs }, `stall ${stallMs} ms`);
    },
  },
  {
    name: "disk-error",
    about: "some writes and syncs, or changes of names only, of a minority's disks fail with EIO",
    holdMs: [500, 3000],
    strike: (scene) => {
      const errorsOf = scene.prng.chance(0.5) ? "names" : "all";
      const errorsPerMille =
        errorsOf === "all" ? scene.prng.between(5, 200) : scene.prng.between(100, 1000);
      const faults = { ...NO_DISK_FAULTS, errorsPerMille, errorsOf } as const;
      return bad(scene, minority(scene), faults, `EIO ${errorsPerMille}/1000 of ${errorsOf}`);
    },
  },
  {
    name: "disk-full",
    about: "no room on some disks or on all: what makes a file longer fails with ENOSPC",
    holdMs: [1000, 5000],
    strike: (scene) => {
      const { cluster, prng } = scene;
      const count = prng.chance(0.3) ? cluster.names.length : minority(scene);
      return bad(scene, count, { ...NO_DISK_FAULTS, full: true }, "full");
    },
  },
  {
    name: "bitflip",
    about: "bits are flipped in the files of one node, always the same, while it is down",
    holdMs: [300, 3000],
    strike: flip,
  },
  {
    name: "power",
    about: "SIGKILL, and what was not synced is lost, names of files included",
    holdMs: [500, 4000],
    strike: async (scene) => {
      const names = targets(scene);
      const told = await Promise.all(
        names.map(async (name) => {
          const lost = await scene.cluster.node(name).cutPower(scene.prng.split());
          return `${name} (${lost.names} names, ${lost.writes} writes lost)`;
        }),
      );
      const heal = (): void => startAgain(scene.cluster, names);
      return { text: `power ${told.join(" ")}`, heal };
    },
  },
];
