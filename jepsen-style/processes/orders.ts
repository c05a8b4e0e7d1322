/** What the harness and the preload of a node say to each other. */

/** The address from which a node opens its connections. */
export const SITE_VARIABLE = "FLOTILLA_HARNESS_SITE";
/** The file from which a node's threads read which disk faults are on. */
export const DISK_FAULTS_VARIABLE = "FLOTILLA_HARNESS_DISK_FAULTS";

/** How a node's clocks differ from the machine's. */
export interface ClockSkew {
  /** Added to wall time. */
  readonly wallMs: number;
  /** Added to wall time in every other period of this length; 0: never. */
  readonly strobeMs: number;
  /** Wall time stands still. */
  readonly frozen: boolean;
  /** Of the monotonic clock, and of uptime, which goes with it. */
  readonly rate: number;
  /** The machine sleeps for so long, once: uptime goes on, the monotonic clock does not. */
  readonly sleepMs: number;
}

export const NO_SKEW: ClockSkew = { wallMs: 0, strobeMs: 0, frozen: false, rate: 1, sleepMs: 0 };

export interface Order {
  readonly clocks: ClockSkew;
}

/** What a node's disk does to its calls; all off by default. */
export interface DiskFaults {
  /** Each write, sync and change of a name waits for so long. */
  readonly stallMs: number;
  /** Of these and of truncations, those that fail with EIO, of a thousand. */
  readonly errorsPerMille: number;
  /**
   * Which of these may: in the others a node ends at a write, long before the rare calls by which
   * names and directories change.
   */
  readonly errorsOf: "all" | "names";
  /** Nothing that makes a file longer has room. */
  readonly full: boolean;
}

export const NO_DISK_FAULTS: DiskFaults = {
  stallMs: 0,
  errorsPerMille: 0,
  errorsOf: "all",
  full: false,
};
