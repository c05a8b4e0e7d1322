/**
 * A run told line by line: the time, a column a node with how its replica of the shard stands, and
 * what happens.
 *
 *   1234.5  L3 17/18   f3 16/18   -          n1 shard 2 → append to 3 …
 *
 * A column reads: role (L leader, c candidate, p pre-candidate, f follower), term, committed and
 * last index; "-" where the node does not run.
 */
import type { Machine } from "./cluster.js";
import type { RunObserver } from "./simulate.js";
import type { World } from "./world.js";

const ROLES = { leader: "L", candidate: "c", preCandidate: "p", follower: "f" } as const;
const COLUMN = 12;

export function traceTo(write: (line: string) => void): RunObserver {
  let machines: readonly Machine[] = [];
  const say = (atMs: number, who: string, shardId: number, what: string): void => {
    const columns = machines.map((machine) => column(machine, shardId).padEnd(COLUMN)).join("");
    write(`${atMs.toFixed(1).padStart(9)}  ${columns}${who} ${what}`);
  };
  return {
    cluster: (all) => {
      machines = all;
    },
    line: (atMs, who, what) => say(atMs, who, shardIn(what), what),
    tracer: (machine: Machine, world: World) => ({
      trace: (_level, message, fields) => {
        const text = fields === undefined ? "" : ` ${JSON.stringify(fields)}`;
        const shardId = Number(fields?.["shardId"] ?? 1);
        say(world.nowMs, machine.name, shardId, `${message}${text}`);
      },
    }),
  };
}

function column({ node }: Machine, shardId: number): string {
  const raft = node?.core.host.replica(shardId)?.raft;
  if (raft === undefined) return "-";
  return `${ROLES[raft.role]}${raft.term} ${raft.commitIndex}/${raft.lastIndex}`;
}

function shardIn(what: string): number {
  const found = /^shard (\d+)/.exec(what);
  return found === null ? 1 : Number(found[1]);
}
