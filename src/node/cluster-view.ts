/**
 * The cluster map as this node holds it, and who leads what as far as it has heard. Kept in a file
 * beside the data, so that a node opens its replicas before it has reached anybody.
 */
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { DEFAULT_KEYSPACE_NAME } from "../protocol/cluster.js";
import type { AlarmKind, ClusterMap, KeyspaceDescriptor, LeaderHint } from "../protocol/cluster.js";
import type { NodeDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { hasTextFile, readTextFile, writeTextFile } from "./text-file.js";

const FILE = "cluster-map.json";
const BYTES_TAG = "$bytes";

export class ClusterView {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #leaders: Map<number, LeaderHint> = new Map();
  #map: ClusterMap;
  #shards: Map<number, ShardDescriptor> = new Map();
  #keyspaces: Map<number, KeyspaceDescriptor> = new Map();
  #nodes: Map<number, NodeDescriptor> = new Map();
  #raised: ReadonlySet<AlarmKind> = new Set();
  /** -1 where the map has none. */
  #defaultKeyspaceId = -1;
  #fit: ReadonlySet<number> = new Set();

  constructor(disk: Disk, directory: string, clusterId: string) {
    this.#disk = disk;
    this.#directory = directory;
    this.#map = { clusterId, version: 0, nodes: [], keyspaces: [], shards: [] };
    if (hasTextFile(disk, directory, FILE)) this.#load();
  }

  get map(): ClusterMap {
    return this.#map;
  }

  /** Nodes that the placement leader has heard of lately, and whose disks have room and go on. */
  get fit(): ReadonlySet<number> {
    return this.#fit;
  }

  shard(shardId: number): ShardDescriptor | undefined {
    return this.#shards.get(shardId);
  }

  keyspace(keyspaceId: number): KeyspaceDescriptor | undefined {
    return this.#keyspaces.get(keyspaceId);
  }

  node(nodeId: number): NodeDescriptor | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Whether an alarm was raised, and not disarmed, for any node. */
  isRaised(kind: AlarmKind): boolean {
    return this.#raised.has(kind);
  }

  isDefaultKeyspace(keyspaceId: number): boolean {
    return keyspaceId === this.#defaultKeyspaceId;
  }

  get leaders(): readonly LeaderHint[] {
    return [...this.#leaders.values()];
  }

  leaderOf(shardId: number): number {
    return this.#leaders.get(shardId)?.nodeId ?? 0;
  }

  /** Takes a newer map; false where it is not newer. */
  update(map: ClusterMap): boolean {
    if (map.version <= this.#map.version || map.clusterId !== this.#map.clusterId) return false;
    this.#take(map);
    return true;
  }

  /** Writes the map to its file; where the disk does not take it, the file keeps an older one. */
  save(): DiskError | undefined {
    try {
      writeTextFile(this.#disk, this.#directory, FILE, toText(this.#map));
      return undefined;
    } catch (error) {
      if (error instanceof DiskError) return error;
      throw error;
    }
  }

  noteLeader(hint: LeaderHint): void {
    const known = this.#leaders.get(hint.shardId);
    if (known === undefined || known.term <= hint.term) this.#leaders.set(hint.shardId, hint);
  }

  noteFit(nodeIds: readonly number[]): void {
    this.#fit = new Set(nodeIds);
  }

  /** A map that cannot be read is heard again from the placement leader. */
  #load(): void {
    try {
      const map = fromText(readTextFile(this.#disk, this.#directory, FILE));
      // The nodes at least are known, so that one of them can be asked for the rest.
      const isWhole = map.shards.every(hasBytes);
      this.#take(isWhole ? map : { ...map, version: 0, keyspaces: [], shards: [] });
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
    }
  }

  #take(map: ClusterMap): void {
    this.#map = map;
    this.#shards = new Map(map.shards.map((shard) => [shard.shardId, shard]));
    this.#keyspaces = new Map(map.keyspaces.map((each) => [each.keyspaceId, each]));
    this.#nodes = new Map(map.nodes.map((node) => [node.nodeId, node]));
    const strays = (map.strayAlarms ?? []).map(({ kind }) => kind);
    this.#raised = new Set([...map.nodes.flatMap(({ alarms = [] }) => alarms), ...strays]);
    const byDefault = map.keyspaces.find(({ name }) => name === DEFAULT_KEYSPACE_NAME);
    this.#defaultKeyspaceId = byDefault?.keyspaceId ?? -1;
  }
}

/** Earlier versions could write ranges in a form that is not read back. */
function hasBytes({ range }: ShardDescriptor): boolean {
  const { start, end } = range;
  return start instanceof Uint8Array && (end === undefined || end instanceof Uint8Array);
}

function toText(map: ClusterMap): string {
  return `${JSON.stringify(map, replaceBytes)}\n`;
}

/** Looks at the holder, for the value has been through its own `toJSON` if it has one. */
function replaceBytes(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const own = this[key];
  return own instanceof Uint8Array ? { [BYTES_TAG]: Array.from(own) } : value;
}

function fromText(text: string): ClusterMap {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== "object" || value === null || !(BYTES_TAG in value)) return value;
    return Uint8Array.from(value[BYTES_TAG] as number[]);
  }) as ClusterMap;
}
