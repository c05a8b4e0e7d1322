/** All nemeses by name, those that wait for something, and what only the simulator does. */
import { BadArgument } from "../command.js";
import { ADMIN_NEMESES } from "./nemeses-admin.js";
import { CLOCK_NEMESES } from "./nemeses-clocks.js";
import { DISK_NEMESES } from "./nemeses-disks.js";
import { LINK_NEMESES } from "./nemeses-links.js";
import { MEMBER_NEMESES } from "./nemeses-members.js";
import { OPERATOR_NEMESES } from "./nemeses-operator.js";
import { OVERLOAD_NEMESES } from "./nemeses-overload.js";
import { PROCESS_NEMESES } from "./nemeses-processes.js";
import { REPLACE_NEMESES } from "./nemeses-replace.js";
import type { Nemesis } from "./nemesis.js";

export const NEMESES: readonly Nemesis[] = [
  ...PROCESS_NEMESES,
  ...LINK_NEMESES,
  ...CLOCK_NEMESES,
  ...DISK_NEMESES,
  ...OPERATOR_NEMESES,
  ...MEMBER_NEMESES,
  ...ADMIN_NEMESES,
  ...OVERLOAD_NEMESES,
  ...REPLACE_NEMESES,
  waiting("versions", "nodes of two versions, up and down again one by one", "a second version"),
  waiting("resize", "shards are cut and put together under faults", "splits by command"),
];

/** What no nemesis here can do to a real process, and the simulator does. */
export const SIMULATED: readonly Pick<Nemesis, "name" | "about">[] = [
  { name: "messages", about: "single Raft messages lost, doubled, late, said again much later" },
  {
    name: "failpoints",
    about: "power fails at one chosen disk operation, or as a message is sent",
  },
  { name: "torn", about: "writes of which half, or nothing, is there after an error" },
  { name: "misdirected", about: "writes that land elsewhere, places that cannot be read any more" },
  { name: "syncs", about: "syncs that fail and forget what they had, or take it back" },
  { name: "timers", about: "timers that are late, and stand still while the machine sleeps" },
  { name: "usurpers", about: "entries only one leader has, and others that commit without it" },
];

/** What others attack their stores with, and neither instrument here has. */
export const LEFT_OUT: readonly Pick<Nemesis, "name" | "about">[] = [
  { name: "corrupt", about: "bytes that change on a link in spite of the checksums of TCP" },
  { name: "truncate", about: "files cut short, other than by what was never synced" },
  { name: "helix", about: "every disk damaged, each at another place" },
  { name: "memory", about: "a bound of memory at which nodes are killed" },
];

function waiting(name: string, about: string, waitsFor: string): Nemesis {
  return { name, about, waitsFor, holdMs: [0, 0], strike: () => undefined };
}

/** `names` with commas between; "none" and "all" are names, too. */
export function nemesesNamed(names: string): readonly Nemesis[] {
  if (names === "none") return [];
  if (names === "all") return NEMESES.filter(({ waitsFor }) => waitsFor === undefined);
  return names.split(",").map((name) => {
    const found = NEMESES.find((each) => each.name === name);
    if (found === undefined) throw new BadArgument(`there is no nemesis ${name}`);
    if (found.waitsFor === undefined) return found;
    throw new BadArgument(`the nemesis ${name} waits for ${found.waitsFor}`);
  });
}
