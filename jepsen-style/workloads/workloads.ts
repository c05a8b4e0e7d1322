/** All workloads by name. */
import { BadArgument } from "../command.js";
import { append } from "./append.js";
import { bank } from "./bank.js";
import { counter } from "./counter.js";
import { election } from "./election.js";
import { fork } from "./fork.js";
import { ids } from "./ids.js";
import { lease } from "./lease.js";
import { limits } from "./limits.js";
import { lock } from "./lock.js";
import { past } from "./past.js";
import { queue } from "./queue.js";
import { big, register } from "./register.js";
import { sequence } from "./sequence.js";
import { set } from "./set.js";
import { shards } from "./shards.js";
import { stale } from "./stale.js";
import { WAITING } from "./waiting.js";
import { watch } from "./watch.js";
import type { Workload } from "./workload.js";
import { wr } from "./wr.js";

export const WORKLOADS: readonly Workload[] = [
  register,
  append,
  wr,
  set,
  bank,
  counter,
  stale,
  watch,
  shards,
  lease,
  lock,
  election,
  fork,
  sequence,
  ids,
  queue,
  past,
  big,
  limits,
  ...WAITING,
];

export function workloadNamed(name: string): Workload {
  const found = WORKLOADS.find((each) => each.name === name);
  if (found === undefined) throw new BadArgument(`there is no workload ${name}`);
  if (found.waitsFor === undefined) return found;
  throw new BadArgument(`the workload ${name} waits for ${found.waitsFor}`);
}
