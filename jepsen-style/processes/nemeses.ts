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
];

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
