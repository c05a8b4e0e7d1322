/** A disk that fails while replicas are opened ends the node with that error, and nothing else. */
import { afterEach, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import { DiskError } from "../../src/env/disk.js";
import type { DiskFile, OpenOptions } from "../../src/env/disk.js";
import { ForwardingDisk, ForwardingFile } from "../support/forwarding-disk.js";
import { TestCluster } from "../support/test-cluster.js";
import { eventually } from "../support/eventually.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const uncaught = uncaughtErrors();
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

class ManifestFailsDisk extends ForwardingDisk {
  /** Writes of the manifest that still succeed. */
  writesLeft = Number.POSITIVE_INFINITY;

  override open(path: string, options: OpenOptions): DiskFile {
    const file = super.open(path, options);
    return path.includes("manifest-") ? new ManifestFile(file, this) : file;
  }
}

class ManifestFile extends ForwardingFile {
  readonly #disk: ManifestFailsDisk;

  constructor(inner: DiskFile, disk: ManifestFailsDisk) {
    super(inner);
    this.#disk = disk;
  }

  override writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    if (this.#disk.writesLeft-- <= 0) throw new DiskError("io", this.path);
    super.writeSync(source, offset, length, position);
  }
}

/** The log can be opened; what is written to it later fails. */
class LogFailsDisk extends ForwardingDisk {
  override open(path: string, options: OpenOptions): DiskFile {
    const file = super.open(path, options);
    return path.includes("/log/") ? new LogFile(file) : file;
  }
}

class LogFile extends ForwardingFile {
  override write(
    _source: Uint8Array,
    _length: number,
    _position: number,
    done: (error?: DiskError) => void,
  ): void {
    setImmediate(() => done(new DiskError("io", this.path)));
  }
}

test("who waits to be let into a cluster ends when its disk fails", async () => {
  const cluster = await TestCluster.start({
    nodeCount: 1,
    disk: (name, inner) => (name === "n2" ? new LogFailsDisk(inner) : inner),
  });
  cleanups.push(() => cluster.close());
  await cluster.stopNode("n1");
  await cluster.prepare("n2");
  // Nobody answers: by itself it would ask for twenty seconds.
  await expect(cluster.startNode("n2")).rejects.toMatchObject({ name: "DiskError", code: "io" });
  expect(uncaught).toEqual([]);
}, 10_000);

test("many shards are to be opened, and the manifest cannot be written", async () => {
  let disk: ManifestFailsDisk | undefined;
  const cluster = await TestCluster.start({
    nodeCount: 1,
    disk: (_name, inner) => (disk = new ManifestFailsDisk(inner)),
  });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  const node = cluster.node("n1");
  // Those of the first trees, two copies each time: the others are made in a turn of their own.
  disk!.writesLeft = 4;
  await Promise.all([
    expect(node.failed).resolves.toMatchObject({ name: "DiskError", code: "io" }),
    client.admin.createKeyspace({ name: "many", kind: "hash", shards: 300 }).catch(() => undefined),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(uncaught).toEqual([]);
}, 20_000);
