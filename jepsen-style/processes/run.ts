/**
 * One run: a cluster is started (or one of somebody else is used), clients work on it while
 * nemeses strike, then everything is healed, the clients finish, and what was heard and what the
 * nodes hold is judged. It ends only what it started.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../src/base/prng.js";
import { KvError } from "../../src/protocol/errors.js";
import { DEFAULT_KEYSPACE_NAME } from "../../src/protocol/cluster.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, unknown, valid } from "../checkers/finding.js";
import { NotServed } from "../workloads/history-log.js";
import { Witness } from "../workloads/witness.js";
import type { Testimony } from "../workloads/witness.js";
import { Actors } from "./actors.js";
import { Cluster } from "./cluster.js";
import { compareReplicas } from "./ground-truth.js";
import { Guard } from "./guard.js";
import { Injector } from "./injector.js";
import type { FaultSpan } from "./injector.js";
import { NamespaceLinks } from "./namespace-links.js";
import { ProxiedLinks } from "./proxied-links.js";
import { LeaderWatch } from "./leader-watch.js";
import type { Lead } from "./leader-watch.js";
import { LogArchive } from "./log-archive.js";
import { compareLogs } from "./log-truth.js";
import { judgeOutputs } from "./node-outputs.js";
import type { RunSettings } from "./settings.js";
import { connectorOf } from "./stores.js";
import { judgeTraffic, RECOVERY_MS, servedAgain } from "./traffic.js";
import type { NamedCourse } from "./traffic.js";

export interface RunResult {
  readonly settings: RunSettings;
  readonly verdict: Finding["verdict"];
  readonly findings: readonly Finding[];
  readonly courses: readonly NamedCourse[];
  readonly faults: readonly FaultSpan[];
  readonly leads: readonly Lead[];
  /** What the clients of each keyspace asked, were answered and shown, watches included. */
  readonly testimonies: ReadonlyMap<string, Testimony>;
  /** How much of the committed order the nodes' logs still had, a line for each keyspace. */
  readonly covered: readonly string[];
  /** When the faults were over, and when all clients had been served after that. */
  readonly healedMs: number;
  readonly endedMs: number;
}

/** What a run tells while it goes on. */
export interface Progress {
  readonly phase: string;
  readonly elapsedMs: number;
  readonly operations: number;
  readonly faults: readonly string[];
}

/** Beside the time for faults: starting, finishing and judging. */
const LIFETIME_EXTRA_SECONDS = 420;
/** How long a run goes on whose verdict is known: what follows tells more of it. */
const STILL_MS = 3000;
const LOST_RECOVERY_MS = 5000;
const PROGRESS_MS = 1000;
/** More than a course has clients. */
const PROCESSES_A_COURSE = 100;
/** Keys spread over shards for the workloads that want several. */
const KEYSPACES: readonly string[] = [
  "spread:range:split=k3,k6",
  "hashed:hash:shards=3",
  "ordered:range:split=h,q",
];
/** Replicas of the default keyspace, usually on all nodes, can move only where there are others. */
const DEFAULT_OF_THREE = "default:range:replicas=3";

export async function run(
  settings: RunSettings,
  tell: (progress: Progress) => void,
): Promise<RunResult> {
  mkdirSync(settings.directory, { recursive: true });
  const guard = new Guard(settings.seconds + LIFETIME_EXTRA_SECONDS);
  const stage = new Stage(settings, guard, tell);
  try {
    return await stage.play();
  } finally {
    await stage.close();
    guard.close();
  }
}

class Stage {
  readonly #settings: RunSettings;
  readonly #tell: (progress: Progress) => void;
  readonly #prng: Prng;
  readonly #startedAt = performance.now();
  readonly #nowMs = (): number => performance.now() - this.#startedAt;
  readonly #findings: Finding[] = [];
  readonly #courses: readonly NamedCourse[];
  readonly #cluster: Cluster | undefined;
  readonly #witness: Witness;
  readonly #archive = new LogArchive();
  #covered: readonly string[] = [];
  #damaged: string | undefined;
  #crews: readonly Actors[] = [];
  #leaders: LeaderWatch | undefined;
  #injector: Injector | undefined;
  #phase = "starting";
  /** A node ended by itself: the verdict is known, and the others may never serve again. */
  #isLost = false;
  #cutShort: () => void = () => undefined;
  readonly #ticker: NodeJS.Timeout;

  constructor(settings: RunSettings, guard: Guard, tell: (progress: Progress) => void) {
    this.#settings = settings;
    this.#tell = tell;
    this.#prng = new Prng(settings.seed);
    const clock = { monotonicMs: this.#nowMs, uptimeMs: this.#nowMs, wallMs: () => Date.now() };
    this.#witness = new Witness(clock);
    const top = settings.endpoints.length === 0 ? "" : `jepsen-${Date.now()}/`;
    this.#courses = settings.workloads.map((workload) => {
      const prefix = `${top}${workload.name}/`;
      const surroundings = { clock, actors: settings.clients, prefix };
      return { name: workload.name, course: workload.create(surroundings) };
    });
    if (settings.endpoints.length === 0) this.#cluster = this.#makeCluster(guard);
    this.#ticker = setInterval(() => this.#report(), PROGRESS_MS);
  }

  #makeCluster(guard: Guard): Cluster {
    const { nodes, links, directory, mutant, nemeses } = this.#settings;
    const prng = this.#prng.split();
    const keyspaces = prng.chance(0.5) ? [DEFAULT_OF_THREE, ...KEYSPACES] : KEYSPACES;
    return new Cluster({
      nodes,
      directory: join(directory, "nodes"),
      mutant,
      journals: nemeses.some(({ name }) => name === "power"),
      flags: keyspaces.flatMap((each) => ["--initial-keyspace", each]),
      links: links === "proxies" ? new ProxiedLinks(prng) : new NamespaceLinks(),
      guard,
      endedItself: (node, how) => {
        this.#findings.push(invalid("nodes stay alive", `${node} ended by itself: ${how}`));
        this.#isLost = true;
        setTimeout(() => this.#cutShort(), STILL_MS);
      },
      // A start writes to tables what the log has, and lets go of it.
      startsAgain: (node) => this.#archive.keepOf(node, join(directory, "nodes", node)),
    });
  }

  #makeCrews(): readonly Actors[] {
    const { clients, ratePerSecond, endpoints, api } = this.#settings;
    return this.#courses.map(
      ({ course }, index) =>
        new Actors(
          {
            count: clients,
            firstProcess: index * PROCESSES_A_COURSE,
            ratePerSecond: ratePerSecond / this.#courses.length,
            endpoints: this.#cluster?.endpoints ?? endpoints,
            connect: connectorOf(api),
            prng: this.#prng.split(),
            nowMs: this.#nowMs,
            witness: this.#witness,
          },
          course,
        ),
    );
  }

  async play(): Promise<RunResult> {
    await this.#cluster?.start();
    const crews = (this.#crews = this.#makeCrews());
    await Promise.all(crews.map((crew) => crew.open(RECOVERY_MS)));
    this.#phase = "faults";
    if (this.#cluster !== undefined) await this.#beginFaults(this.#cluster);
    for (const crew of crews) crew.start();
    await new Promise<void>((resolve) => {
      this.#cutShort = resolve;
      setTimeout(resolve, this.#settings.seconds * 1000);
    });
    this.#phase = "healing";
    await this.#injector?.stop();
    const healedMs = this.#nowMs();
    await this.#finish(crews);
    const endedMs = this.#nowMs();
    this.#phase = "comparing";
    await this.#compareNodes();
    this.#phase = "judging";
    this.#report();
    for (const { name, course } of this.#courses) {
      const own = [...course.judge(), judgeTraffic(course)];
      this.#findings.push(...own.map((each) => ({ ...each, checker: `${name}: ${each.checker}` })));
    }
    return this.#result(healedMs, endedMs);
  }

  async #beginFaults(cluster: Cluster): Promise<void> {
    const keyspaces = await cluster.observer.admin.keyspaces();
    const keyspace = keyspaces.find(({ name }) => name === DEFAULT_KEYSPACE_NAME);
    this.#leaders = new LeaderWatch(cluster, keyspace?.keyspaceId ?? 0, this.#nowMs);
    this.#leaders.start();
    const prng = this.#prng.split();
    const damaged = cluster.names[prng.between(0, cluster.names.length - 1)]!;
    if (this.#settings.nemeses.some(({ name }) => name === "bitflip")) this.#damaged = damaged;
    this.#injector = new Injector(
      { cluster, leaders: this.#leaders, damaged, blame: (text) => this.#blame(text) },
      {
        nemeses: this.#settings.nemeses,
        prng,
        nowMs: this.#nowMs,
        recovered: () => this.#rest(),
      },
    );
    this.#injector.start();
  }

  #blame(text: string): void {
    this.#findings.push(invalid("operations end as they should", text));
  }

  /** Between two turns of faults. */
  async #rest(): Promise<void> {
    if (this.#cluster !== undefined) await this.#archive.collect(this.#cluster);
    const isOver = (): boolean => this.#phase !== "faults";
    const fault = await servedAgain(this.#courses, { nowMs: this.#nowMs, isOver });
    if (fault !== undefined) this.#findings.push(fault);
  }

  get #recoveryMs(): number {
    return this.#isLost ? LOST_RECOVERY_MS : RECOVERY_MS;
  }

  async #finish(crews: readonly Actors[]): Promise<void> {
    const name = "served after healing";
    try {
      await Promise.all(crews.map((crew) => crew.stop(this.#recoveryMs)));
      this.#phase = "finishing";
      await Promise.all(crews.map((crew) => crew.finish(this.#recoveryMs)));
      this.#findings.push(valid(name));
    } catch (error) {
      if (!(error instanceof NotServed)) throw error;
      const text = `not all clients were served within ${this.#recoveryMs / 1000} s: ${error.message}`;
      this.#findings.push(invalid(name, text));
    }
  }

  async #compareNodes(): Promise<void> {
    this.#leaders?.stop();
    if (this.#cluster === undefined || this.#leaders === undefined) return;
    this.#findings.push(this.#leaders.judge(), judgeOutputs(this.#cluster));
    try {
      await this.#compareTruth(this.#cluster);
    } catch (error) {
      // A cluster that does not serve has been told of; its replicas are not known.
      const refusal = KvError.from(error);
      if (refusal.code === "internal") throw error;
      this.#findings.push(unknown("replicas are alike", refusal.message));
    }
  }

  /** What the replicas show, and then, when they have ended, what their logs say. */
  async #compareTruth(cluster: Cluster): Promise<void> {
    const { findings, states } = await compareReplicas(cluster, this.#recoveryMs);
    const keyspaces = await cluster.observer.admin.keyspaces();
    const { clusterMap: map } = await cluster.observer.admin.map();
    await cluster.end();
    const witness = this.#witness;
    const damaged = this.#damaged;
    const archive = this.#archive;
    const mustProve = this.#settings.workloads.some(({ provenByLogs }) => provenByLogs === true);
    const parts = { cluster, map, keyspaces, states, witness, archive, damaged, mustProve };
    const truth = compareLogs(parts);
    this.#findings.push(...findings, ...truth.findings);
    this.#covered = truth.covered;
  }

  #result(healedMs: number, endedMs: number): RunResult {
    const findings = this.#findings;
    const has = (verdict: Finding["verdict"]): boolean =>
      findings.some((each) => each.verdict === verdict);
    return {
      settings: this.#settings,
      verdict: has("invalid") ? "invalid" : has("unknown") ? "unknown" : "valid",
      findings,
      courses: this.#courses,
      faults: this.#injector?.spans ?? [],
      leads: this.#leaders?.leads ?? [],
      testimonies: this.#witness.testimonies,
      covered: this.#covered,
      healedMs,
      endedMs,
    };
  }

  #report(): void {
    this.#tell({
      phase: this.#phase,
      elapsedMs: this.#nowMs(),
      operations: this.#courses.reduce((sum, { course }) => sum + course.operations.length, 0),
      faults: this.#injector?.present ?? [],
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#leaders?.stop();
    await Promise.all(this.#crews.map((crew) => crew.close()));
    await this.#cluster?.close();
  }
}
