/** Bugs of clients, and of whoever answers them too early. */
import type { Mutant } from "./mutant.js";

export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: "unknown-tried-again",
    bug: "SDK (jetcd): a write of unknown outcome is sent again, and is made twice",
    file: "client/routed-call",
    find: `return this.#kind.isRead && LOST.has(error.code);`,
    replace: `return LOST.has(error.code);`,
  },
  {
    name: "commit-without-quorum",
    bug: "MongoDB, Redis: a leader answers writes that nobody else holds, and they are rolled back",
    file: "raft/replication",
    find: `const index = leader.quorumIndex();`,
    replace: `const index = core.log.lastIndex;`,
  },
];
