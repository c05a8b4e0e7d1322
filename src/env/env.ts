/** The outside world as a node sees it: real under env/node, simulated under the simulator. */
import type { Clock } from "./clock.js";
import type { Disk } from "./disk.js";
import type { JobRunner } from "./jobs.js";
import type { Network } from "./network.js";
import type { Random } from "./random.js";
import type { Timers } from "./timers.js";
import type { Tracer } from "./tracer.js";

export interface Env {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly disk: Disk;
  readonly network: Network;
  readonly random: Random;
  readonly tracer: Tracer;
  readonly jobs: JobRunner;
}
