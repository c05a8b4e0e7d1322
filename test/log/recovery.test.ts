/** What a start makes of torn ends, rotten middles and lost headers. */
import { describe, expect, test } from "vitest";
import { concatBytes, equalBytes } from "../../src/base/bytes.js";
import { ByteWriter } from "../../src/base/coding.js";
import { Item, ITEM, ITEM_SIZE_BYTES } from "../../src/log/batch-format.js";
import { ShardTable } from "../../src/log/shard-table.js";
import { Prng } from "../../src/base/prng.js";
import { LogRecovery } from "../../src/log/recovery.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import {
  commitNow,
  DIRECTORY,
  entries,
  openLog,
  outline,
  settle,
  SMALL,
  STORE_ID,
} from "./support.js";
import type { Opened } from "./support.js";

const FIRST = `${DIRECTORY}/0000000001.log`;
const BLOCK = 4096;
/** Two flipped bits of a payload are one too many to be mended. */
const TWO_BITS = 3;

/** Three shards, one committed batch per step, on a disk that is then copied around. */
function threeBatches(): { opened: Opened; ends: number[] } {
  const opened = openLog();
  settle(opened);
  const ends: number[] = [];
  for (let step = 0; step < 3; step++) {
    for (const shard of [1, 2]) {
      opened.log.saveHardState(shard, 1, { term: 1, vote: 1, commitIndex: step * 2 });
      opened.log.append(shard, 1, entries(shard, step * 2 + 1, 2, 1, 700));
    }
    commitNow(opened);
    ends.push(Number(/at (\d+)/.exec(opened.log.describe())?.[1]));
  }
  return { opened, ends };
}

function withBytes(opened: Opened, change: (bytes: Uint8Array) => void): Opened {
  const disk = opened.disk.crash(new Prng(1), "keepAll");
  const bytes = disk.content(FIRST);
  change(bytes);
  disk.setContent(FIRST, bytes);
  return openLog(disk);
}

test("a checkpoint of any number of shards says that some may be missing", () => {
  for (let shards = 1; shards <= 100; shards++) {
    const table = new ShardTable();
    const item = new Item();
    for (item.shardId = 1; item.shardId <= shards; item.shardId++) {
      item.kind = ITEM.hardState;
      table.apply(item, 1);
    }
    table.loseBatch();
    const bytes = new ByteWriter();
    const count = table.writeCheckpoint(bytes);
    item.read(bytes.view(), (count - 1) * ITEM_SIZE_BYTES);
    expect([shards, item.kind]).toEqual([shards, ITEM.missing]);
  }
});

/** Writes until a segment begins. */
function rotate(opened: Opened): void {
  const before = opened.log.stats().segments;
  for (let index = 1; opened.log.stats().segments === before; index++) {
    opened.log.append(7, 1, entries(7, index, 1, 1, 4000));
    commitNow(opened);
  }
}

describe("the torn end", () => {
  test("at every byte of the last batch leaves what came before, intact", () => {
    const opened = openLog(undefined, { segmentSizeBytes: 16384, firstSegmentSizeBytes: 16384 });
    for (const index of [1, 2]) {
      opened.log.append(1, 1, entries(1, index, 1, 1, 500));
      opened.log.append(2, 1, entries(2, index, 1, 1, 500));
      commitNow(opened);
    }
    const end = Number(/at (\d+)/.exec(opened.log.describe())?.[1]);
    for (let cut = end - BLOCK; cut < end; cut++) {
      const { recovered, shardsMayBeMissing } = withBytes(opened, (bytes) => {
        bytes.fill(0, cut, end);
      });
      const [one, two] = [recovered.get(1)!, recovered.get(2)!];
      const healthy = one.health.kind === "intact" && two.health.kind === "intact";
      if (!healthy || shardsMayBeMissing) throw new Error(`cut at ${cut} is called corrupt`);
      if (outline(one) !== outline(two)) throw new Error(`cut at ${cut} leaves half a batch`);
      // Only zeros and the trailer follow the payload: without them the batch is still whole.
      expect(outline(one)).toBe(cut < end - BLOCK + 1156 ? "1-1@1" : outline(one));
      expect(["1-1@1", "1-2@1"]).toContain(outline(one));
    }
  });

  test("is cut the same way when the recovering process crashes, too", () => {
    const { opened, ends } = threeBatches();
    const torn = opened.disk.crash(new Prng(1), "keepAll");
    const bytes = torn.content(FIRST);
    bytes.fill(0, ends[1]! + 600, ends[2]);
    torn.setContent(FIRST, bytes);
    for (let seed = 0; seed < 50; seed++) {
      const prng = new Prng(seed);
      const half = torn.crash(prng, "keepAll");
      half.haltAt(prng.between(0, 12));
      try {
        openLog(half);
      } catch {
        // The machine stopped in the middle of the start.
      }
      const after = openLog(half.crash(prng));
      expect(outline(after.recovered.get(1))).toBe("1-4@1");
      expect(after.recovered.get(1)!.health.kind).toBe("intact");
    }
  });
});

describe("corruption", () => {
  test("of a payload keeps length, term and vote, and says from where it is lost", () => {
    const { opened, ends } = threeBatches();
    const { recovered, shardsMayBeMissing } = withBytes(opened, (bytes) => {
      // Inside the second batch's payload: its header ends before, the copy comes after.
      bytes[ends[0]! + 1200]! ^= TWO_BITS;
    });
    expect(shardsMayBeMissing).toBe(false);
    const shard = recovered.get(1)!;
    expect(outline(shard)).toBe("1-2@1");
    expect(shard.hardState).toEqual({ term: 1, vote: 1, commitIndex: 4 });
    expect(shard.health).toEqual({
      kind: "corrupt",
      hardStateLost: false,
      tailUnknown: false,
      firstLostIndex: 3,
      lastIndex: 6,
      lastTerm: 1,
    });
  });

  test("of a header is nothing: its copy serves", () => {
    const { opened, ends } = threeBatches();
    const { recovered } = withBytes(opened, (bytes) => {
      bytes[ends[0]! + 20]! ^= 1;
    });
    expect(outline(recovered.get(1))).toBe("1-6@1");
    expect(recovered.get(1)!.health.kind).toBe("intact");
  });

  test("of a header and its copy makes every shard suspect", () => {
    const { opened, ends } = threeBatches();
    const { recovered, shardsMayBeMissing } = withBytes(opened, (bytes) => {
      bytes.fill(0xee, ends[0], ends[1]);
    });
    expect(shardsMayBeMissing).toBe(true);
    const health = recovered.get(1)!.health;
    expect(health).toMatchObject({ kind: "corrupt", firstLostIndex: 1, lastIndex: 6 });
  });

  test("of all that named a shard leaves it missing at every start, until nothing is", () => {
    const { opened, ends } = threeBatches();
    opened.log.saveHardState(9, 1, { term: 3, vote: 1, commitIndex: 0 });
    commitNow(opened);
    const end = Number(/at (\d+)/.exec(opened.log.describe())?.[1]);
    opened.log.saveHardState(1, 1, { term: 2, vote: 1, commitIndex: 0 });
    commitNow(opened);
    const again = ({ disk }: Opened): Opened => openLog(disk.crash(new Prng(1), "keepAll"));
    const first = withBytes(opened, (bytes) => bytes.fill(0xee, ends[2], end));
    expect([first.recovered.has(9), first.shardsMayBeMissing]).toEqual([false, true]);
    const third = again(again(first));
    expect([third.recovered.has(9), third.shardsMayBeMissing]).toEqual([false, true]);
    third.log.nothingIsMissing();
    const fourth = again(third);
    expect(again(fourth).shardsMayBeMissing).toBe(true);
    fourth.log.nothingIsMissing();
    rotate(fourth);
    expect(again(fourth).shardsMayBeMissing).toBe(false);
  });

  test.each([1, 3])("makes a shard suspect that %i batches behind it are the first of", (later) => {
    const opened = openLog();
    settle(opened);
    const placeNow = (): number => Number(/at (\d+)/.exec(opened.log.describe())?.[1]);
    const places = [placeNow()];
    opened.log.saveHardState(9, 1, { term: 3, vote: 1, commitIndex: 0 });
    for (let index = 1; index <= 1 + later; index++) {
      opened.log.append(9, 1, entries(9, index, 1, 3));
      commitNow(opened);
      places.push(placeNow());
    }
    const once = withBytes(opened, (bytes) => {
      bytes.fill(0xee, places[0], places[1]);
    });
    const twice = openLog(once.disk.crash(new Prng(1), "loseAll"));
    for (const { recovered } of [once, twice]) {
      expect(recovered.get(9)!.health).toMatchObject({ kind: "corrupt", hardStateLost: true });
    }
  });

  test("is not laundered by the next start", () => {
    const { opened, ends } = threeBatches();
    for (const spoil of [
      (bytes: Uint8Array) => void (bytes[ends[0]! + 1200]! ^= TWO_BITS),
      (bytes: Uint8Array) => void bytes.fill(0xee, ends[0], ends[1]),
    ]) {
      const once = withBytes(opened, spoil);
      const twice = openLog(once.disk.crash(new Prng(1), "loseAll"));
      const thrice = openLog(twice.disk.crash(new Prng(1), "loseAll"));
      expect(once.recovered.get(1)!.health.kind).toBe("corrupt");
      expect(twice.recovered.get(1)!.health).toEqual(once.recovered.get(1)!.health);
      expect(thrice.recovered.get(1)!.health).toEqual(once.recovered.get(1)!.health);
    }
  });

  test("is known until the log goes as far again, whatever is appended meanwhile", () => {
    const { opened, ends } = threeBatches();
    const once = withBytes(opened, (bytes) => void (bytes[ends[0]! + 1200]! ^= TWO_BITS));
    const found = once.recovered.get(1)!;
    expect(found.health).toMatchObject({ firstLostIndex: 3, lastIndex: 6 });
    expect(outline({ ...found, runs: found.runsAfterLoss })).toBe("5-6@1");
    // A refill that ends half-way: nothing lost is left, and yet the log is not whole.
    once.log.append(1, 1, entries(1, 3, 2, 1, 700));
    commitNow(once);
    const half = openLog(once.disk.crash(new Prng(1), "loseAll"));
    expect(outline(half.recovered.get(1))).toBe("1-4@1");
    const short = { kind: "corrupt", firstLostIndex: undefined, lastIndex: 6, lastTerm: 1 };
    expect(half.recovered.get(1)!.health).toMatchObject(short);
    const again = openLog(half.disk.crash(new Prng(1), "loseAll"));
    expect(again.recovered.get(1)!.health).toMatchObject(short);
    again.log.append(1, 1, entries(1, 5, 1, 2));
    commitNow(again);
    const whole = openLog(again.disk.crash(new Prng(1), "loseAll"));
    expect(whole.recovered.get(1)!.health.kind).toBe("intact");
  });

  test("of an unknown end is known until a later term is reached", () => {
    const { opened, ends } = threeBatches();
    const once = withBytes(opened, (bytes) => bytes.fill(0xee, ends[1], ends[2]));
    const lost = openLog(once.disk.crash(new Prng(1), "loseAll")).recovered.get(1)!.health;
    expect(lost.kind).toBe("intact");
    // Nothing followed what was overwritten: a torn end. With a marker behind it, it is not.
    opened.env.fake.advance(200);
    settle(opened);
    const marked = withBytes(opened, (bytes) => bytes.fill(0xee, ends[1], ends[2]));
    expect(marked.recovered.get(1)!.health).toMatchObject({ tailUnknown: true, lastIndex: 4 });
    marked.log.saveHardState(1, 1, { term: 2, vote: 0, commitIndex: 0 });
    marked.log.append(1, 1, entries(1, 3, 6, 1));
    commitNow(marked);
    const same = openLog(marked.disk.crash(new Prng(1), "loseAll"));
    expect(same.recovered.get(1)!.health).toMatchObject({ tailUnknown: true, lastTerm: 1 });
    same.log.append(1, 1, entries(1, 9, 1, 2));
    commitNow(same);
    const later = openLog(same.disk.crash(new Prng(1), "loseAll"));
    expect(later.recovered.get(1)!.health.kind).toBe("intact");
  });

  test("is healed by a reset, or by appending and saving again", () => {
    const { opened, ends } = threeBatches();
    const once = withBytes(opened, (bytes) => bytes.fill(0xee, ends[0], ends[1]));
    once.log.saveHardState(1, 1, { term: 2, vote: 0, commitIndex: 0 });
    once.log.append(1, 1, entries(1, 1, 7, 2));
    once.log.saveHardState(2, 1, { term: 2, vote: 0, commitIndex: 9 });
    once.log.reset(2, 1, 9, 2);
    commitNow(once);
    const { recovered } = openLog(once.disk.crash(new Prng(1), "loseAll"));
    expect(recovered.get(1)!.health.kind).toBe("intact");
    expect(outline(recovered.get(1))).toBe("1-7@2");
    expect(recovered.get(2)!.health.kind).toBe("intact");
  });

  test("of the last batch is found once a marker has promised it", () => {
    const { opened, ends } = threeBatches();
    opened.env.fake.advance(200);
    settle(opened);
    const spoil = (bytes: Uint8Array): void => void (bytes[ends[1]! + 1200]! ^= TWO_BITS);
    const health = withBytes(opened, spoil).recovered.get(1)!.health;
    expect(health).toMatchObject({ kind: "corrupt", firstLostIndex: 5, lastIndex: 6 });
  });

  test("of any single bit is repaired, told, or leaves the end torn; never passed off", () => {
    const { opened, ends } = threeBatches();
    opened.env.fake.advance(200);
    settle(opened);
    const prng = new Prng(7);
    for (let round = 0; round < 300; round++) {
      const at = prng.between(0, ends[2]! - 1);
      const { recovered } = withBytes(opened, (bytes) => {
        bytes[at]! ^= 1 << prng.between(0, 7);
      });
      for (const shard of [1, 2]) {
        const found = recovered.get(shard)!;
        const whole = found.health.kind === "corrupt" || outline(found) === "1-6@1";
        expect(whole).toBe(true);
        for (const run of found.runs) {
          const asked = entries(shard, run.firstIndex, run.count, 1, 700);
          expect(equalBytes(run.bytes, asked.bytes)).toBe(true);
        }
      }
    }
  });

  test("a segment that is gone is noticed", () => {
    const opened = openLog();
    for (let i = 0; i < 12; i++) {
      opened.log.saveHardState(1, 1, { term: 1, vote: 1, commitIndex: i * 2 });
      opened.log.append(1, 1, entries(1, i * 2 + 1, 2, 1, 8000));
      commitNow(opened);
    }
    settle(opened);
    const disk = opened.disk.crash(new Prng(1), "keepAll");
    expect(disk.list(DIRECTORY).length).toBeGreaterThan(3);
    disk.remove(`${DIRECTORY}/0000000002.log`);
    const shard = openLog(disk).recovered.get(1)!;
    expect(shard.health).toMatchObject({ kind: "corrupt", lastIndex: 24 });
    expect(shard.runs.length).toBeGreaterThan(0);
    expect(shard.runs.length).toBeLessThan(12);
  });
});

describe("one flipped bit", () => {
  const TINY = { segmentSizeBytes: 16384, firstSegmentSizeBytes: 16384 };
  const HARD_STATE = { vote: 2, commitIndex: 1 };

  /** Two acknowledged batches, the process killed before a marker could speak for the second. */
  function killed(payloadLength: number): { disk: MemoryDisk; end: number } {
    const opened = openLog(undefined, TINY);
    for (const index of [1, 2]) {
      opened.log.saveHardState(1, 1, { ...HARD_STATE, term: index + 1 });
      opened.log.append(1, 1, entries(1, index, 1, 1, payloadLength));
      opened.log.append(2, 1, entries(2, index, 1, 1, payloadLength));
      commitNow(opened);
    }
    const end = Number(/at (\d+)/.exec(opened.log.describe())?.[1]);
    return { disk: opened.disk.crash(new Prng(1), "keepAll"), end };
  }

  /** Whether everything of `killed` is there, byte for byte, and nothing is called corrupt. */
  function hasAll({ recovered, shardsMayBeMissing }: Opened, payloadLength: number): boolean {
    const areWhole = [1, 2].every((shardId) => {
      const { runs, health } = recovered.get(shardId)!;
      const found = concatBytes(...runs.map(({ bytes }) => bytes));
      const written = [1, 2].map((index) => entries(shardId, index, 1, 1, payloadLength).bytes);
      return health.kind === "intact" && equalBytes(found, concatBytes(...written));
    });
    const { term, vote, commitIndex } = recovered.get(1)!.hardState!;
    const isVote = term === 3 && vote === HARD_STATE.vote && commitIndex === HARD_STATE.commitIndex;
    return areWhole && isVote && !shardsMayBeMissing;
  }

  test("in a log whose last batch no marker promised costs nothing, whichever bit it is", () => {
    const { disk, end } = killed(60);
    const bytes = disk.content(FIRST);
    const wrong: number[] = [];
    let mended = 0;
    for (let at = 0; at < end; at++) {
      // Of the zeros that fill up a block a few will do.
      const isFiller = bytes.subarray(at, at + 16).every((byte) => byte === 0);
      if (isFiller && at % 64 !== 0) continue;
      for (let bit = at * 8; bit < at * 8 + 8; bit++) {
        disk.flipBit(FIRST, bit);
        const opened = openLog(disk.crash(new Prng(1), "keepAll"), TINY);
        disk.flipBit(FIRST, bit);
        if (!hasAll(opened, 60)) wrong.push(bit);
        mended += opened.mendedBatches;
      }
    }
    expect(wrong).toEqual([]);
    expect(mended).toBe(2 * 2 * 64 * 8);
  });

  test("anywhere in the log costs nothing", () => {
    const { disk, end } = killed(1500);
    const prng = new Prng(3);
    const wrong: number[] = [];
    for (let round = 0; round < 3000; round++) {
      const bit = prng.between(0, end * 8 - 1);
      disk.flipBit(FIRST, bit);
      const opened = openLog(disk.crash(prng, "loseAll"), TINY);
      disk.flipBit(FIRST, bit);
      if (!hasAll(opened, 1500)) wrong.push(bit);
    }
    expect(wrong).toEqual([]);
  });

  test("in the batch of a start, which nothing else holds any more, costs nothing", () => {
    const first = openLog(undefined, TINY);
    const run = entries(1, 1, 3, 1, 200);
    first.log.append(1, 1, run);
    commitNow(first);
    const second = openLog(first.disk.crash(new Prng(1), "loseAll"), TINY);
    settle(second);
    const { disk } = second;
    // Nobody needs the first segment any more: it is recycled.
    expect(disk.exists(FIRST)).toBe(false);
    disk.flipBit(`${DIRECTORY}/0000000002.log`, (BLOCK + 300) * 8 + 5);
    const third = openLog(disk.crash(new Prng(1), "loseAll"), TINY);
    expect(third.mendedBatches).toBe(1);
    expect(outline(third.recovered.get(1))).toBe("1-3@1");
    const { runs } = third.recovered.get(1)!;
    expect(runs.map(({ bytes }) => bytes)).toEqual([run.bytes]);
  });

  test("in one of many segments is mended in what is read later, too", () => {
    const opened = openLog(undefined, TINY);
    const runs = Array.from({ length: 12 }, (_, i) => entries(1, i + 1, 1, 1, 6000));
    for (const run of runs) {
      opened.log.append(1, 1, run);
      commitNow(opened);
      settle(opened);
    }
    const { disk } = opened;
    expect(disk.list(DIRECTORY).length).toBeGreaterThan(4);
    disk.flipBit(`${DIRECTORY}/0000000002.log`, (BLOCK + 3000) * 8 + 5);
    const again = openLog(disk.crash(new Prng(1), "keepAll"), TINY);
    expect(again.mendedBatches).toBe(1);
    const found = again.recovered.get(1)!.runs.map(({ bytes }) => bytes);
    expect(equalBytes(concatBytes(...found), concatBytes(...runs.map(({ bytes }) => bytes)))).toBe(
      true,
    );
  });

  test("is written anew by the start, also where that is cut off", () => {
    const { disk, end } = killed(60);
    disk.flipBit(FIRST, (end - BLOCK + 52 + 3 * 48 + 20) * 8);
    for (let seed = 0; seed < 50; seed++) {
      const prng = new Prng(seed);
      const half = disk.crash(prng, "keepAll");
      half.haltAt(prng.between(0, 12));
      try {
        openLog(half, TINY);
      } catch {
        // The machine stopped in the middle of the start.
      }
      expect(hasAll(openLog(half.crash(prng), TINY), 60)).toBe(true);
    }
    const once = openLog(disk, TINY);
    expect(once.mendedBatches).toBe(1);
    expect(once.log.isCondemned).toBe(true);
    const twice = openLog(once.disk.crash(new Prng(1), "loseAll"), TINY);
    expect(twice.mendedBatches).toBe(0);
    expect(hasAll(twice, 60)).toBe(true);
  });

  test("in what a torn batch has left does not make it whole", () => {
    const { disk, end } = killed(1500);
    const prng = new Prng(4);
    for (let round = 0; round < 300; round++) {
      const half = disk.crash(prng, "keepAll");
      const bytes = half.content(FIRST);
      const payload = end - BLOCK + 200;
      bytes.fill(0, payload, payload + prng.between(64, 2500));
      half.setContent(FIRST, bytes);
      half.flipBit(FIRST, prng.between((end - BLOCK) * 8, end * 8 - 1));
      const { recovered, mendedBatches } = openLog(half, TINY);
      expect([outline(recovered.get(1)), mendedBatches]).toEqual(["1-1@1", 0]);
    }
  });
});

describe("a start", () => {
  test("makes the last batch durable again before anything is built upon it", () => {
    const disk = new MemoryDisk({ completion: "manual" });
    const first = openLog(disk, SMALL);
    settle(first);
    first.log.append(1, 1, entries(1, 1, 3, 1));
    let acknowledged = false;
    first.log.commit(() => {
      acknowledged = true;
    });
    // The write reaches the page cache, the process dies, the machine does not.
    const cached = disk.crash(new Prng(1), "keepAll");
    expect(acknowledged).toBe(false);
    const second = openLog(cached);
    expect(outline(second.recovered.get(1))).toBe("1-3@1");
    const third = openLog(second.disk.crash(new Prng(1), "loseAll"));
    expect(outline(third.recovered.get(1))).toBe("1-3@1");
  });

  test("many starts in a row neither lose nor pile up", () => {
    let opened = openLog();
    opened.log.saveHardState(1, 1, { term: 4, vote: 2, commitIndex: 1 });
    opened.log.append(1, 1, entries(1, 1, 3, 4));
    commitNow(opened);
    for (let i = 0; i < 10; i++) {
      settle(opened);
      opened = openLog(opened.disk.crash(new Prng(i), "loseAll"));
      expect(outline(opened.recovered.get(1))).toBe("1-3@4");
      expect(opened.recovered.get(1)!.hardState!.vote).toBe(2);
    }
    opened.log.trim(1, 3);
    commitNow(opened);
    settle(opened);
    // The active one, the next, and two that wait to be used again.
    expect(opened.log.stats().segments).toBeLessThanOrEqual(4);
  });

  test("is foreseen by who only looks, with what the last batch did", () => {
    const opened = openLog();
    settle(opened);
    for (let index = 1; index <= 40; index++) {
      opened.log.append(1, 1, entries(1, index, 1, 1, 3 * BLOCK));
      commitNow(opened);
      settle(opened);
    }
    // The last batch lets go of all segments but the last few, and the machine stops right then.
    opened.log.trim(1, 40);
    commitNow(opened);
    settle(opened);
    const disk = opened.disk.crash(new Prng(1), "loseAll");
    const looking = new LogRecovery(disk, DIRECTORY, STORE_ID);
    looking.scan();
    const [seen] = looking.look().values();
    const found = openLog(disk).recovered.get(1)!;
    expect(seen).toEqual(found);
    expect([found.baseIndex, found.health.kind]).toEqual([40, "intact"]);
  });
});
