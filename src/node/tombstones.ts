/**
 * The replicas that have left this node, for ever: of each shard the highest id. It is durable
 * before anything of such a replica is dropped, so that neither an old map nor a crash in the
 * middle brings it back. Ids rise, so a replica that comes later has a higher one.
 *
 *   removed-replicas.json = {"<shard>": <replica>, …}
 */
import type { Disk } from "../env/disk.js";
import { hasTextFile, readTextFile, writeTextFile } from "./text-file.js";

const FILE = "removed-replicas.json";

export class Tombstones {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #removed: Map<number, number> = new Map();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
    if (!hasTextFile(disk, directory, FILE)) return;
    const found = JSON.parse(readTextFile(disk, directory, FILE)) as Record<string, number>;
    for (const [shardId, id] of Object.entries(found)) this.#removed.set(Number(shardId), id);
  }

  has(shardId: number, replicaId: number): boolean {
    return replicaId <= (this.#removed.get(shardId) ?? 0);
  }

  /** Durable when it returns; throws DiskError where the disk does not take it. */
  add(shardId: number, replicaId: number): void {
    if (this.has(shardId, replicaId)) return;
    const next = new Map(this.#removed).set(shardId, replicaId);
    const text = `${JSON.stringify(Object.fromEntries(next))}\n`;
    writeTextFile(this.#disk, this.#directory, FILE, text);
    this.#removed.set(shardId, replicaId);
  }
}
