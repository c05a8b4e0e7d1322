/**
 * Checks the directory of a store that nobody runs: every checksum and every rule that can be seen
 * from the files. It never changes anything, goes on behind what it finds, and says of each finding
 * in which file and where it is, and what is lost by it.
 */
import { keyAfter } from "../base/bytes.js";
import { DecodeError } from "../base/coding.js";
import { equalRanges } from "../base/key-range.js";
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { NOTHING_LOST } from "../log/finding.js";
import type { Finding, Loss } from "../log/finding.js";
import { LogRecovery } from "../log/recovery.js";
import type { SegmentSurvey } from "../log/segment-survey.js";
import { BLOCK_SIZE_BYTES } from "../log/batch-format.js";
import { statedPreviousEnd, surveySegment } from "../log/segment-survey.js";
import { storeTagOf } from "../log/segment-format.js";
import type { LogHealth, RecoveredShard } from "../log/log-types.js";
import type { Catalog, CatalogTree } from "../lsm/catalog.js";
import type { Slice, TableFile } from "../lsm/slice.js";
import { fileNumberOf, pathOfTable } from "../lsm/table-set.js";
import { surveyTable } from "../lsm/table-survey.js";
import type { TableSurvey } from "../lsm/table-survey.js";
import { readIdentity } from "./identity.js";
import { lookAtManifest } from "./manifest-look.js";
import { readWhole } from "./whole-file.js";

export interface StoreCheck {
  readonly directory: string;
  readonly storeId: string | undefined;
  readonly trees: number;
  readonly tables: number;
  readonly segments: number;
  readonly checkedBytes: number;
  readonly findings: readonly Finding[];
}

type DamagedHealth = Exclude<LogHealth, { readonly kind: "intact" }>;

const NAMED_TWICE: Loss = { kind: "nothing", because: "the manifest names the store, too" };
const LOG_LOST: Loss = { kind: "standing", what: "the log, votes and entries" };

export function checkStore(disk: Disk, directory: string): StoreCheck {
  const check = new Check(disk, directory);
  check.run();
  return check;
}

class Check implements StoreCheck {
  readonly directory: string;
  storeId: string | undefined = undefined;
  trees = 0;
  tables = 0;
  segments = 0;
  checkedBytes = 0;
  readonly findings: Finding[] = [];
  readonly #disk: Disk;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.directory = directory;
  }

  run(): void {
    const { content, catalog, sizeBytes, findings } = lookAtManifest(this.#disk, this.directory);
    this.findings.push(...findings);
    this.checkedBytes += sizeBytes;
    this.#checkIdentity(content?.storeId);
    this.trees = catalog.trees.size;
    const uses = usesOf(catalog);
    for (const file of catalog.files.values()) {
      this.#checkTable(file, uses.get(file.fileNumber) ?? { shardIds: new Set(), slices: [] });
    }
    this.#findStrays(catalog);
    if (this.storeId === undefined) return;
    const { recovered, mayBeMissing } = this.#checkLog(this.storeId, catalog.run + 1);
    for (const [shardId, tree] of catalog.trees) {
      const shard = recovered.get(shardId);
      if (shard !== undefined) this.#checkPassage(shardId, tree, shard);
      else if (mayBeMissing) this.#missing(shardId);
    }
  }

  #damage(path: string, offset: number, what: string, loss: Loss): void {
    this.findings.push({ path, offset, what, loss, isDamage: true });
  }

  #checkIdentity(manifestStoreId: string | undefined): void {
    const path = `${this.directory}/identity`;
    this.storeId = manifestStoreId;
    try {
      const found = readIdentity(this.#disk, this.directory);
      if (found.kind === "intact") {
        this.storeId ??= found.storeId;
        if (found.storeId === this.storeId) return;
        this.#damage(path, 8, "it names another store than the manifest", { kind: "unknown" });
      } else {
        const what = found.kind === "none" ? "the file is not there" : "it fails its checksum";
        this.#damage(path, 0, what, NAMED_TWICE);
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#damage(path, error.offset, error.detail, NAMED_TWICE);
    }
  }

  #checkTable(file: TableFile, { shardIds, slices }: TableUse): void {
    const path = pathOfTable(`${this.directory}/tables`, file);
    const shards = { shardIds: [...shardIds] };
    this.tables++;
    if (!this.#disk.exists(path)) {
      const what = "every entry of the table";
      this.#damage(path, 0, "the file is not there", { kind: "content", what, ...shards });
      return;
    }
    const survey = surveyTable(this.#disk, path, file);
    this.checkedBytes += survey.sizeBytes;
    for (const finding of survey.findings) {
      const { loss } = finding;
      const isContent = loss.kind === "content";
      this.findings.push(isContent ? { ...finding, loss: { ...loss, ...shards } } : finding);
    }
    if (survey.findings.length > 0) return;
    if (slices.every((slice) => isPartOf(slice, survey))) return;
    const what = "the manifest says of the table what is not in it";
    this.#damage(path, 0, what, { kind: "content", what: "what it hides", ...shards });
  }

  #findStrays(catalog: Catalog): void {
    const directory = `${this.directory}/tables`;
    if (!this.#disk.exists(directory)) return;
    const known = new Set<string>();
    for (const file of catalog.files.values()) known.add(pathOfTable(directory, file));
    for (const name of this.#disk.list(directory)) {
      const path = `${directory}/${name}`;
      if (fileNumberOf(name) === undefined || known.has(path)) continue;
      const what = "nothing refers to the file: the next start deletes it";
      this.findings.push({ path, offset: 0, what, loss: NOTHING_LOST, isDamage: false });
    }
  }

  /** As the next start would find it, whose `run` that is: all of it, needed or not. */
  #checkLog(storeId: string, run: number): CheckedLog {
    const directory = `${this.directory}/log`;
    if (!this.#disk.exists(directory)) return { recovered: new Map(), mayBeMissing: true };
    try {
      const extent = { run, readsAll: true, isBegun: this.trees > 0 };
      const recovery = new LogRecovery(this.#disk, directory, storeId, extent);
      recovery.scan();
      for (const [at, segment] of recovery.used.entries()) {
        this.#checkSegment(segment.path, segment.number, storeId, recovery.used[at + 1]?.path);
      }
      const recovered = recovery.look();
      for (const [shardId, shard] of recovered) this.#checkShard(directory, shardId, shard);
      return { recovered, mayBeMissing: recovery.table.shardsMayBeMissing };
    } catch (error) {
      if (error instanceof CorruptionError) {
        this.#damage(error.path, error.offset, error.detail, LOG_LOST);
      } else if (error instanceof DecodeError) {
        this.#damage(directory, 0, error.message, LOG_LOST);
      } else if (error instanceof DiskError) {
        this.#damage(error.path, 0, error.message, LOG_LOST);
      } else {
        throw error;
      }
      return { recovered: new Map(), mayBeMissing: false };
    }
  }

  #checkSegment(path: string, number: number, storeId: string, nextPath: string | undefined): void {
    this.segments++;
    const survey = surveySegmentFile(this.#disk, path, { number, storeId, nextPath });
    this.checkedBytes += survey.endOffset;
    this.findings.push(...survey.findings);
  }

  #checkShard(directory: string, shardId: number, { health }: RecoveredShard): void {
    if (health.kind === "intact") return;
    const what = `the log of shard ${shardId} is not whole`;
    // What a segment's damage has brought about is no other damage.
    const isTold = this.findings.some(
      ({ isDamage, path, loss }) =>
        isDamage &&
        path.startsWith(`${directory}/`) &&
        loss.kind !== "nothing" &&
        loss.kind !== "unknown",
    );
    const isDamage = health.hardStateLost || !isTold;
    this.findings.push({
      path: directory,
      offset: 0,
      what,
      loss: logLoss(shardId, health),
      isDamage,
    });
  }

  /** From the tree to the log nothing may be missing. */
  #checkPassage(shardId: number, { flushed }: CatalogTree, { baseIndex }: RecoveredShard): void {
    if (baseIndex <= flushed.index) return;
    const what = `the log of shard ${shardId} begins behind its tree`;
    const lost = `entries ${flushed.index + 1} to ${baseIndex}`;
    const loss: Loss = { kind: "content", what: lost, shardIds: [shardId] };
    this.#damage(`${this.directory}/log`, 0, what, loss);
  }

  #missing(shardId: number): void {
    const what = `the log of shard ${shardId} is not there`;
    this.#damage(`${this.directory}/log`, 0, what, LOG_LOST);
  }
}

function logLoss(shardId: number, health: DamagedHealth): Loss {
  const lost: string[] = [];
  if (health.firstLostIndex !== undefined) lost.push(`entries from ${health.firstLostIndex} on`);
  if (health.tailUnknown) lost.push("how far its log went");
  const what = lost.join("; ");
  if (health.hardStateLost) {
    return { kind: "standing", what: "its vote", also: what === "" ? undefined : what };
  }
  if (what === "") return { kind: "nothing", because: "the tree has it" };
  return { kind: "content", what, shardIds: [shardId] };
}

interface CheckedLog {
  readonly recovered: ReadonlyMap<number, RecoveredShard>;
  /** Whether shards without a record may have had one. */
  readonly mayBeMissing: boolean;
}

interface TableUse {
  readonly shardIds: ReadonlySet<number>;
  readonly slices: readonly Slice[];
}

/** What trees have of each table. */
function usesOf(catalog: Catalog): ReadonlyMap<number, TableUse> {
  const uses = new Map<number, { shardIds: Set<number>; slices: Slice[] }>();
  for (const [shardId, { slices }] of catalog.trees) {
    for (const slice of slices) {
      const { fileNumber } = slice;
      const use = uses.get(fileNumber) ?? { shardIds: new Set(), slices: [] };
      use.shardIds.add(shardId);
      use.slices.push(slice);
      uses.set(fileNumber, use);
    }
  }
  return uses;
}

/** Whether a slice is a part of what a table has. */
function isPartOf({ family, filterRange }: Slice, { sections }: TableSurvey): boolean {
  const found = sections.find((section) => section.family === family);
  if (found === undefined) return false;
  const { smallestKey, largestKey } = found;
  return equalRanges(filterRange, { start: smallestKey, end: keyAfter(largestKey) });
}

/** Reads a segment as `surveySegment` wants it; `nextPath`: the segment behind it. */
export function surveySegmentFile(
  disk: Disk,
  path: string,
  place: {
    readonly number: number;
    readonly storeId: string;
    readonly nextPath?: string | undefined;
  },
): SegmentSurvey {
  const storeTag = storeTagOf(place.storeId);
  const { number, nextPath } = place;
  const next = nextPath === undefined ? undefined : readBlocks(disk, nextPath);
  const statedEnd =
    next === undefined ? undefined : statedPreviousEnd(next, { storeTag, number: number + 1 });
  return surveySegment(readBlocks(disk, path), path, { storeTag, number }, statedEnd);
}

/** The whole blocks of a file. */
export function readBlocks(disk: Disk, path: string): Uint8Array {
  const bytes = readWhole(disk, path);
  return bytes.subarray(0, bytes.length - (bytes.length % BLOCK_SIZE_BYTES));
}
