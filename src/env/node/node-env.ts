/** The real world as an Env. The size of libuv's thread pool is the launcher's business. */
import type { Env } from "../env.js";
import { inlineJobs } from "../jobs.js";
import { nodeClock } from "./node-clock.js";
import { nodeDisk } from "./node-disk.js";
import { NodeJobs } from "./node-jobs.js";
import type { NodeJobsOptions } from "./node-jobs.js";
import { nodeNetwork } from "./node-network.js";
import { nodeRandom } from "./node-random.js";
import { nodeTimers } from "./node-timers.js";
import { nodeTracer } from "./node-tracer.js";
import type { NodeTracerOptions } from "./node-tracer.js";

export interface NodeEnvOptions {
  readonly tracer?: NodeTracerOptions | undefined;
  /** Without it a job is a mistake, and rejects: a client has no jobs. */
  readonly jobs?: NodeJobsOptions | undefined;
}

export function createNodeEnv(options: NodeEnvOptions = {}): Env {
  return {
    clock: nodeClock,
    timers: nodeTimers,
    disk: nodeDisk,
    network: nodeNetwork,
    random: nodeRandom,
    tracer: nodeTracer(options.tracer),
    jobs: options.jobs === undefined ? inlineJobs(refuseJob) : new NodeJobs(options.jobs),
  };
}

function refuseJob(): unknown {
  throw new Error("this process runs no jobs");
}
