/** Where a watch begins that names no revision: who waits for a confirmation, and for how long. */
import { beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { WatchStart } from "../../src/cli/etcd-watch-start.js";
import type { StartClient, StartSource } from "../../src/cli/etcd-watch-start.js";
import type { GetOptions, GetResponse } from "../../src/client/client-types.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { ReadLevel, ResponseHeader } from "../../src/protocol/key-value.js";
import { errorOf } from "../support/error-of.js";
import { FakeTimers } from "../support/fake-timers.js";

const LONG_MS = 100;

/** The question to the leader, which a test answers. */
interface Question {
  answer(revision: number): void;
  refuse(): void;
}

/** A node whose own replica answers at once, and whose leader when a test says so. */
class FakeSource implements StartSource, StartClient {
  newestRevision = 0;
  appliedRevision = 0;
  isDense = true;
  isClosed = false;
  readonly questions: Question[] = [];
  readonly admin: StartClient["admin"] = {
    keyspace: () => Promise.resolve(describedAs(this.isDense)),
    revision: (keyspaceId) => Promise.resolve(keyspaceId * 10),
  };

  client(): Promise<StartClient> {
    return Promise.resolve(this);
  }

  noted({ revision }: ResponseHeader): void {
    this.newestRevision = Math.max(this.newestRevision, revision);
  }

  get(_key: unknown, { level = "linearizable" }: GetOptions = {}): Promise<GetResponse> {
    if (this.isClosed) return Promise.reject(notApplied("unavailable", "closed"));
    if (level === "stale") return Promise.resolve(answerOf(this.appliedRevision, level));
    return new Promise((resolve, reject) => {
      this.questions.push({
        answer: (revision) => resolve(answerOf(revision, level)),
        refuse: () => reject(notApplied("unavailable", "cut off")),
      });
    });
  }
}

function describedAs(dense: boolean): KeyspaceDescriptor {
  return { keyspaceId: 7, name: "default", kind: "range", dense, replicationFactor: 3 };
}

function answerOf(revision: number, level: ReadLevel): GetResponse {
  const header = { revision, shardId: 1, nodeId: 1, raftTerm: 1, level, ageMs: 0 };
  return { header, kv: undefined };
}

let timers: FakeTimers;
let source: FakeSource;
let start: WatchStart;

beforeEach(() => {
  timers = new FakeTimers();
  source = new FakeSource();
  start = new WatchStart(timers, source);
});

/** Whatever needs no time has happened. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A watch that begins now, and the question for it. */
async function asked(): Promise<{ revision: Promise<number>; question: Question }> {
  const revision = start.revision();
  await turn();
  return { revision, question: must(source.questions.at(-1)) };
}

/** One has waited in vain, and its question is still open. */
async function unconfirmed(): Promise<Question> {
  const { revision, question } = await asked();
  timers.advance(LONG_MS);
  await revision;
  return question;
}

describe("where the leader answers", () => {
  test("it begins behind what was confirmed, and leaves no timer", async () => {
    source.appliedRevision = 3;
    const { revision, question } = await asked();
    timers.advance(LONG_MS - 1);
    question.answer(5);
    expect(await revision).toBe(5);
    expect(timers.waiting).toBe(0);
  });

  test("it begins no lower than what was answered here meanwhile", async () => {
    const { revision, question } = await asked();
    source.newestRevision = 9;
    question.answer(5);
    expect(await revision).toBe(9);
  });

  test("all that begin at once wait, each for its own question", async () => {
    const first = await asked();
    const second = await asked();
    expect(source.questions.length).toBe(2);
    second.question.answer(6);
    expect(await second.revision).toBe(6);
    first.question.answer(6);
    expect(await first.revision).toBe(6);
  });
});

describe("where nobody confirms anything", () => {
  test("it begins at what its node has applied, after a while", async () => {
    source.appliedRevision = 3;
    const { revision } = await asked();
    timers.advance(LONG_MS - 1);
    expect(await Promise.race([revision, turn()])).toBeUndefined();
    timers.advance(1);
    expect(await revision).toBe(3);
  });

  test("it begins no lower than what was answered here", async () => {
    source.appliedRevision = 3;
    source.newestRevision = 4;
    const { revision } = await asked();
    timers.advance(LONG_MS);
    expect(await revision).toBe(4);
  });

  test("a refusal ends the wait", async () => {
    source.appliedRevision = 3;
    const { revision, question } = await asked();
    question.refuse();
    expect(await revision).toBe(3);
    expect(timers.waiting).toBe(0);
  });

  test("those that come after it do not wait, and ask one at a time", async () => {
    await unconfirmed();
    source.appliedRevision = 3;
    expect([await start.revision(), await start.revision()]).toEqual([3, 3]);
    expect(source.questions.length).toBe(2);
    must(source.questions[1]).refuse();
    await turn();
    expect(await start.revision()).toBe(3);
    expect([source.questions.length, timers.waiting]).toEqual([3, 0]);
  });

  const probe = async (): Promise<Question> => {
    await unconfirmed();
    await start.revision();
    return must(source.questions[1]);
  };
  test.each([
    ["one of those", probe],
    ["one that came too late", unconfirmed],
  ])("once %s was answered, they wait again", async (_which, pending) => {
    (await pending()).answer(5);
    await turn();
    const { revision, question } = await asked();
    expect(timers.waiting).toBe(1);
    question.answer(6);
    expect(await revision).toBe(6);
  });
});

test("over many shards the keyspace's own revision is asked for, and waited for", async () => {
  source.isDense = false;
  expect(await start.revision()).toBe(70);
  expect([source.questions.length, timers.waiting]).toEqual([0, 0]);
});

test("nobody waits once it is closed", async () => {
  const watches = [await asked(), await asked()];
  source.isClosed = true;
  start.close();
  expect(timers.waiting).toBe(0);
  for (const { revision } of watches) {
    expect(await errorOf(revision)).toMatchObject({ code: "unavailable" });
  }
});
