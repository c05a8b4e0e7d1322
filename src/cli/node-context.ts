/** What a command of flotilla is given; starting a node is a parameter, so that tests need none. */
import type { Disk } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { TraceLevel } from "../env/tracer.js";
import type { NodeConfig } from "../node/config.js";
import type { RunningNode } from "../node/node.js";
import type { Connect } from "./context.js";
import type { Terminal } from "./terminal.js";

/** What `start` needs of a node. */
export type StartedNode = Pick<RunningNode, "clientAddress" | "failed" | "close">;

export interface NodeContext {
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C, a request to end, or the end of the process that started this one. */
  readonly signal: AbortSignal;
  readonly connect: Connect;
  /** For commands that look at files. */
  readonly openDisk: () => Promise<Disk>;
  /** For commands that make files; without a network or workers. */
  readonly openEnv: () => Promise<Env>;
  startNode(config: NodeConfig, logLevel: TraceLevel): Promise<StartedNode>;
}
