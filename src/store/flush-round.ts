/**
 * Makes frozen memtables durable, those of many trees together, one of each:
 *
 *   job: sstables written, synced, directory synced
 *   log durable up to here (an entry may be applied before this node has it on disk)
 *   one manifest edit: for each tree its new slices and the state at which its memtable was frozen
 *   trees: slices in, memtables out; observer: the log may be trimmed
 *
 * What two or more trees have to write goes into one pack, and in a store with many files also what
 * one tree has. Of nothing but states only the edit is made.
 */
import { must } from "../base/assert.js";
import type { Memtable } from "../lsm/memtable.js";
import type { Pack, Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { JobFailure } from "./job-failure.js";
import type { StoreCore } from "./store-core.js";

/** The oldest frozen memtable of a tree. */
export interface FlushMember {
  readonly tree: Tree;
  readonly memtable: Memtable;
}

interface Written {
  readonly tables: ReadonlyMap<FlushMember, WrittenTable>;
  readonly pack: Pack | undefined;
}

export class FlushRound {
  readonly #core: StoreCore;
  readonly #members: readonly FlushMember[];
  readonly #isLarge: boolean;
  /** Trees that were flushed; those that are gone meanwhile are not. */
  readonly flushed: Tree[] = [];
  writtenBytes = 0;

  /** `isLarge`: of one tree, and too large for a pack. */
  constructor(core: StoreCore, members: readonly FlushMember[], isLarge: boolean) {
    this.#core = core;
    this.#isLarge = isLarge;
    this.#members = members;
  }

  /** False where there was no room: nothing has changed. Never rejects. */
  async run(): Promise<boolean> {
    const core = this.#core;
    const written = await this.#write();
    if (written === undefined) return core.hasFailed;
    await core.logIsDurable();
    const wanted = this.#members.filter((member) => this.#isWanted(member));
    if (wanted.length === 0) {
      this.#remove(written);
      return true;
    }
    if (!(await core.tryAppendSoon(editOf(wanted, written)))) {
      if (core.hasFailed) return true;
      this.#remove(written);
      return false;
    }
    this.#install(wanted, written);
    return true;
  }

  /** Undefined where there was no room, or the store has failed. */
  async #write(): Promise<Written | undefined> {
    const full = this.#members.filter(
      (member) => this.#isWanted(member) && member.memtable.entryCount > 0,
    );
    const [first] = full;
    if (first === undefined) return { tables: new Map(), pack: undefined };
    for (const { memtable } of full) memtable.retain();
    try {
      const isAlone = full.length === 1 && (this.#isLarge || !this.#core.isCrowded);
      return isAlone ? await this.#writeOne(first) : await this.#writePack(full);
    } finally {
      for (const { memtable } of full) memtable.release();
    }
  }

  async #writeOne(member: FlushMember): Promise<Written | undefined> {
    const target = this.#core.newTarget();
    const result = await this.#core.runJob({ kind: "flush", target, ...inputOf(member) });
    if (result.kind !== "written") return this.#failed(result);
    const [table] = result.tables;
    return { tables: new Map(table === undefined ? [] : [[member, table]]), pack: undefined };
  }

  async #writePack(members: readonly FlushMember[]): Promise<Written | undefined> {
    const core = this.#core;
    const result = await core.runPack(
      members.map((each) => ({
        kind: "memtable",
        target: core.newTarget(),
        ...inputOf(each),
      })),
    );
    if (result.kind !== "packed") return this.#failed(result);
    const tables = new Map<FlushMember, WrittenTable>();
    for (const [at, packed] of result.members.entries()) {
      if (packed.kind === "corrupt") return this.#failed(packed);
      if (packed.kind === "table") tables.set(members[at]!, packed.table);
    }
    return { tables, pack: result.pack };
  }

  #failed(failure: JobFailure): undefined {
    if (failure.kind === "noSpace") return;
    this.#core.fail(new Error(`a flush failed: ${failure.message}`));
  }

  #isWanted({ tree, memtable }: FlushMember): boolean {
    return this.#core.isLive(tree) && tree.frozen[0] === memtable;
  }

  /** Deletes what no edit has named, or none names any more. */
  #remove({ tables, pack }: Written): void {
    const core = this.#core;
    if (core.hasFailed) return;
    const { catalog } = core.manifest;
    if (pack !== undefined) {
      if (!catalog.packs.has(pack.packNumber)) core.tables.removePack(pack.packNumber);
      return;
    }
    for (const { file } of tables.values()) {
      if (!catalog.files.has(file.fileNumber)) core.tables.remove(file.fileNumber);
    }
  }

  /** A tree may be dropped by what hears of another one. */
  #install(members: readonly FlushMember[], written: Written): void {
    const core = this.#core;
    const left = members.filter((member) => this.#isWanted(member));
    // Dropped or replaced meanwhile, by an edit that took the table out of the manifest again;
    // where the store has ended instead, the next start knows what it holds.
    const held = left.flatMap((member) => written.tables.get(member)?.file ?? []);
    if (held.length === 0) this.#remove(written);
    else if (written.pack !== undefined) core.tables.addPack(written.pack);
    for (const file of held) {
      core.tables.add(file);
      core.tables.retain(file.fileNumber);
      this.writtenBytes += file.sizeBytes;
    }
    for (const member of left) {
      if (!this.#isWanted(member)) continue;
      const { tree, memtable } = member;
      tree.installFlush(slicesOf(written.tables.get(member)));
      this.flushed.push(tree);
      core.observer?.flushed(tree.shardId, must(memtable.state));
    }
    for (const file of held) core.tables.release(file.fileNumber);
  }
}

function inputOf({
  memtable,
}: FlushMember): Pick<
  Extract<Parameters<StoreCore["runJob"]>[0], { readonly kind: "flush" }>,
  "image" | "horizon"
> {
  return { image: memtable.image(), horizon: must(memtable.state).compactedRevision };
}

function editOf(members: readonly FlushMember[], written: Written): EditOperation[] {
  const edit: EditOperation[] = [];
  const named = members.some((member) => written.tables.has(member));
  if (written.pack !== undefined && named) edit.push({ kind: "addPack", pack: written.pack });
  for (const member of members) {
    const { shardId } = member.tree;
    edit.push({ kind: "setFlushed", shardId, flushed: must(member.memtable.state) });
    const table = written.tables.get(member);
    if (table === undefined) continue;
    edit.push({ kind: "addFile", file: table.file });
    for (const slice of slicesOf(table)) edit.push({ kind: "addSlice", shardId, slice });
  }
  return edit;
}

function slicesOf(table: WrittenTable | undefined): Slice[] {
  return table?.sections.map((section) => sliceOf(table.file.fileNumber, section, 0)) ?? [];
}
