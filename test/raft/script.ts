/**
 * Runs a script: a text that tells a story about a cluster. Lines that begin with "> " are
 * commands; the lines after them, up to the next command, comment (#) or blank line, are what the
 * cluster is expected to say. The interpreter returns the text with what it really said.
 *
 *   > cluster 3 [stopped] [noPreVote] [noCheckQuorum] [noLease] [learner=4,5] [spare=6,7]
 *       and NAME=N: inflight inflightBytes appendBytes uncommittedBytes applyBytes commitNotice
 *       quiesce lease
 *   > campaign 1 | leaderLost 1 | transfer 1 to 2 | lease 1 on | compact 1 to 5 | read 1 as 7
 *   > forget 1 | wake 1 | unreachable 1 2 | doubt 1
 *   > propose 1 a b c            one run of three commands
 *   > proposeIn 1 4 a            evaluated in term 4
 *   > change 1 [single] voters 1 2 4 learners 3   jointly if the voters change and it is not single
 *   > settle                     everything that needs no time, until nothing is left
 *   > turn 1                     what replica 1 wants now, but for its disk
 *   > disk 1                     replica 1's oldest write finishes
 *   > diskStalled 1              it is told that no write finishes, those of other shards perhaps
 *   > stall 1 | unstall 1        no other write of replica 1 does, whatever else settles
 *   > deliver [what]             messages in flight that match, once:  1>2  append  round=3
 *   > drop [what] | repeat [what] | keep NAME [what] | replay NAME
 *   > inject 3>4 vote term=2 last=1@1   a message made by hand arrives (script-message.ts)
 *   > cut 1 2 | cut 1>2 | heal   messages between these and others, or one way, are lost
 *   > wait 100                   time passes in steps of 10 ms, everybody ticks, all settles
 *   > sleep 100                  time passes, nobody ticks
 *   > tick 1 | start 1
 *   > crash 1 [2]                its tail is lost but for two of its unfinished writes
 *   > startWithout 1 2           as if the first two entries of its log were gone
 *   > log 1 terms 1 1 4 4 [term 6] [vote 2] [commit 2]   before start: what the disk holds
 *   > priority 1 2 | clock 1 1.05 | noPreVote 1      before start
 *   > evict 1                    entries that it need not keep in memory are let go of
 *   > unreadable 1               what of them it wants back cannot be read
 *   > damage 1 from 4 [length unknown]   before start: its log cannot be read from there on
 *   > loseState 1                a running replica finds that its state cannot be read
 *   > regainState 1              and that it can be read after all
 *   > snapshots                  snapshots that were asked for are sent
 *   > offer 1 3                  1 sends one to 3, asked for or not
 *   > snapshotFailed 1 3         the one that 1 was asked to send to 3 is not
 *   > show [1] | status          logs; one line per replica
 */
import { assert, must } from "../../src/base/assert.js";
import { utf8 } from "../../src/base/bytes.js";
import { enterJoint } from "../../src/raft/configuration.js";
import type { Message } from "../../src/raft/message.js";
import type { Ready } from "../../src/raft/ready.js";
import type { ReplicaId } from "../../src/raft/types.js";
import { Cluster, type Envelope, emptyDisk } from "./cluster.js";
import { type Entry, entriesOf, entryText } from "./entries.js";
import { messageOf } from "./script-message.js";
import { messageText, eventText } from "./script-text.js";

export function runScript(text: string): string {
  const script = new Script();
  const lines: string[] = [];
  let skipping = false;
  for (const line of text.split("\n")) {
    const isCommand = line.startsWith("> ");
    if (isCommand || line === "" || line.startsWith("#")) {
      skipping = isCommand;
      lines.push(line);
      if (isCommand) lines.push(...script.run(line.slice(2).trim().split(/\s+/)));
    } else {
      assert(skipping, `a line that belongs to no command: ${line}`);
    }
  }
  return lines.join("\n");
}

type Command = (words: readonly string[]) => void;

class Script {
  #cluster = new Cluster();
  #output: string[] = [];
  #isQuiet = false;
  readonly #cut = new Set<ReplicaId>();
  /** Ways cut in one direction, like "1>2". */
  readonly #cutWays = new Set<string>();
  readonly #kept = new Map<string, Envelope[]>();

  readonly #commands: Readonly<Record<string, Command>> = {
    cluster: (words) => this.#makeCluster(words),
    log: (words) => this.#writeLog(words),
    damage: ([id, , from, , length]) => {
      this.#cluster
        .get(idOf(id))
        .loseEntries(Number(from), length === "unknown" ? "unknown" : "known");
    },
    loseState: ([word]) => {
      const id = idOf(word);
      const isLost = this.#cluster.get(id).running.loseState(this.#cluster.clockOf(id));
      if (!isLost) this.#output.push("nobody can take over");
    },
    evict: ([id]) => this.#cluster.get(idOf(id)).running.evictEntries(Number.POSITIVE_INFINITY),
    unreadable: ([id]) => void (this.#cluster.get(idOf(id)).isUnreadable = true),
    regainState: ([word]) => {
      const id = idOf(word);
      const isWhole = this.#cluster.get(id).running.regainState(this.#cluster.clockOf(id));
      if (!isWhole) this.#output.push("it lacks something, or did not");
    },
    campaign: (words) => {
      const id = idOf(words[0]);
      this.#cluster.get(id).running.campaign(this.#cluster.clockOf(id));
    },
    leaderLost: (words) => {
      const id = idOf(words[0]);
      this.#cluster.get(id).running.leaderLost(this.#cluster.clockOf(id));
    },
    forget: ([id]) =>
      this.#cluster.get(idOf(id)).running.forgetLeader(this.#cluster.clockOf(idOf(id))),
    wake: ([id]) => this.#cluster.get(idOf(id)).running.wake(this.#cluster.clockOf(idOf(id))),
    doubt: ([id]) =>
      this.#cluster.get(idOf(id)).running.doubtPromises(this.#cluster.clockOf(idOf(id))),
    priority: ([id, rank]) => void (this.#cluster.get(idOf(id)).electionPriority = Number(rank)),
    noPreVote: ([id]) => void (this.#cluster.get(idOf(id)).preVote = false),
    proposeIn: ([id, term, ...texts]) =>
      this.#note(this.#cluster.proposeIn(idOf(id), Number(term), ...texts)),
    clock: ([id, rate]) => void (this.#cluster.get(idOf(id)).clockRate = Number(rate)),
    propose: ([id, ...texts]) => this.#note(this.#cluster.propose(idOf(id), ...texts)),
    read: ([id, , context]) => this.#cluster.read(idOf(id), Number(context)),
    lease: ([id, onOff]) => this.#cluster.get(idOf(id)).running.useLease(onOff === "on"),
    hasLease: ([id]) => this.#hasLease(idOf(id)),
    transfer: ([id, , to]) => this.#transfer(idOf(id), idOf(to)),
    change: (words) => this.#change(words),
    compact: ([id, , index]) => this.#cluster.compact(idOf(id), Number(index)),
    settle: () => this.#settle(),
    turn: ([id]) => this.#turn(idOf(id)),
    disk: ([id]) => this.#disk(idOf(id)),
    stall: ([id]) => void (this.#cluster.get(idOf(id)).isStalled = true),
    diskStalled: ([id]) =>
      this.#cluster.get(idOf(id)).running.setDiskStalled(true, this.#cluster.clockOf(idOf(id))),
    unstall: ([id]) => void (this.#cluster.get(idOf(id)).isStalled = false),
    deliver: (words) => this.#take(words, (envelope) => this.#deliver(envelope)),
    drop: (words) => this.#take(words, () => {}),
    repeat: (words) => this.#network(words).forEach((envelope) => this.#deliver(envelope)),
    keep: ([name, ...words]) => void this.#kept.set(must(name), this.#network(words)),
    replay: ([name]) =>
      must(this.#kept.get(must(name))).forEach((envelope) => this.#deliver(envelope)),
    inject: (words) =>
      this.#cluster.inject(
        messageOf(words, (id, after, upTo) => this.#cluster.get(id).runs(after, upTo)),
      ),
    cut: (words) =>
      words.forEach((word) =>
        word.includes(">") ? this.#cutWays.add(word) : this.#cut.add(idOf(word)),
      ),
    heal: () => {
      this.#cut.clear();
      this.#cutWays.clear();
    },
    wait: ([ms]) => this.#wait(Number(ms)),
    sleep: ([ms]) => void (this.#cluster.nowMs += Number(ms)),
    tick: ([id]) => this.#cluster.tick(idOf(id)),
    crash: ([id, durable]) => this.#cluster.crash(idOf(id), Number(durable ?? 0)),
    start: (words) => words.forEach((word) => this.#cluster.start(idOf(word))),
    startWithout: ([id, count]) => this.#cluster.start(idOf(id), Number(count)),
    show: (words) => this.#show(words.length > 0 ? words.map(idOf) : this.#allIds()),
    status: () => this.#status(),
    snapshots: () => void this.#cluster.sendSnapshots(),
    snapshotFailed: ([id, to]) => this.#cluster.failSnapshot(idOf(id), idOf(to)),
    offer: ([id, to]) =>
      this.#cluster.offerSnapshot(idOf(id), idOf(to), this.#cluster.get(idOf(id)).running.term),
    unreachable: ([id, peer]) => this.#cluster.get(idOf(id)).running.peerUnreachable(idOf(peer)),
  };

  run(words: readonly string[]): readonly string[] {
    this.#output = [];
    const [name, ...rest] = words;
    const command = must(this.#commands[must(name)], `command ${name}`);
    try {
      command(rest);
    } catch (error) {
      this.#output.push(`! ${error instanceof Error ? error.message : String(error)}`);
    }
    return this.#output;
  }

  #makeCluster(words: readonly string[]): void {
    const text = (name: string): string | undefined =>
      words.find((word) => word.startsWith(`${name}=`))?.split("=")[1];
    const number = (name: string, otherwise: number): number => Number(text(name) ?? otherwise);
    const ids = (name: string): ReplicaId[] => text(name)?.split(",").map(idOf) ?? [];
    this.#cluster = new Cluster({
      preVote: !words.includes("noPreVote"),
      checkQuorum: !words.includes("noCheckQuorum"),
      leaseMs: words.includes("noLease") ? 0 : number("lease", 150),
      inflightMessagesMax: number("inflight", 256),
      inflightBytesMax: number("inflightBytes", 1024 * 1024),
      appendBytesMax: number("appendBytes", 1024),
      applyBytesMax: number("applyBytes", 1024 * 1024),
      quiesceAfterMs: number("quiesce", 0),
      uncommittedBytesMax: number("uncommittedBytes", 1024 * 1024),
      commitNoticeMs: number("commitNotice", 0),
    });
    this.#cluster.onReady = (id, ready) => this.#trace(id, ready);
    const voters = Array.from({ length: Number(words[0]) }, (_, i) => i + 1);
    const learners = ids("learner");
    const configuration = { voters, outgoing: [], learners, learnersNext: [] };
    for (const id of [...voters, ...learners, ...ids("spare")]) {
      this.#cluster.add(id, emptyDisk(configuration));
      if (!words.includes("stopped")) this.#cluster.start(id);
    }
  }

  /** log ID terms T.. [term T] [vote ID] [commit I] */
  #writeLog(words: readonly string[]): void {
    const { disk } = this.#cluster.get(idOf(words[0]));
    const numbersAfter = (name: string): number[] => {
      const at = words.indexOf(name);
      if (at < 0) return [];
      const end = words.findIndex((word, i) => i > at && Number.isNaN(Number(word)));
      return words.slice(at + 1, end < 0 ? undefined : end).map(Number);
    };
    const terms = numbersAfter("terms");
    disk.entries = terms.map((term, i): Entry => ({
      kind: "command",
      term,
      payload: utf8(`e${i + 1}.${term}`),
    }));
    const term = numbersAfter("term")[0] ?? terms.at(-1) ?? 0;
    const vote = numbersAfter("vote")[0] ?? 0;
    disk.hardState = { term, vote, commitIndex: numbersAfter("commit")[0] ?? 0 };
  }

  #hasLease(id: ReplicaId): void {
    const has = this.#cluster.get(id).running.hasLease(this.#cluster.clockOf(id));
    this.#output.push(has ? "yes" : "no");
  }

  #transfer(id: ReplicaId, to: ReplicaId): void {
    const refusal = this.#cluster.get(id).running.transferLeader(to, this.#cluster.clockOf(id));
    if (refusal !== undefined) this.#output.push(`refused: ${refusal}`);
  }

  /** change ID [single] voters I.. [learners I..] */
  #change(words: readonly string[]): void {
    const { running } = this.#cluster.get(idOf(words[0]));
    const at = words.indexOf("learners");
    const isSingle = words[1] === "single";
    const voters = words.slice(isSingle ? 3 : 2, at < 0 ? undefined : at).map(idOf);
    const learners = at < 0 ? [] : words.slice(at + 1).map(idOf);
    const { configuration } = running;
    const sameVoters =
      voters.length === configuration.voters.length &&
      voters.every((id) => configuration.voters.includes(id));
    const next =
      isSingle || sameVoters
        ? { voters, outgoing: [], learners, learnersNext: [] }
        : enterJoint(configuration, voters, learners);
    this.#note(running.proposeConfiguration(next));
  }

  #note(result: ReturnType<Cluster["propose"]>): void {
    if (result.kind === "refused") this.#output.push(`refused: ${result.reason}`);
    if (result.kind === "notLeader") this.#output.push(`not leader, it is ${result.leaderId}`);
  }

  #settle(): void {
    this.#isQuiet = true;
    this.#cluster.settle((message) => !this.#isCut(message));
    this.#isQuiet = false;
  }

  #wait(ms: number): void {
    for (let waited = 0; waited < ms; waited += 10) {
      this.#cluster.nowMs += 10;
      for (const id of this.#cluster.runningIds) this.#cluster.tick(id);
      this.#settle();
    }
  }

  #turn(id: ReplicaId): void {
    if (!this.#cluster.takeReady(id)) this.#output.push("nothing");
  }

  #disk(id: ReplicaId): void {
    if (!this.#cluster.finishPersist(id)) this.#output.push("nothing");
  }

  #take(words: readonly string[], act: (envelope: Envelope) => void): void {
    const chosen = this.#network(words);
    this.#cluster.network = this.#cluster.network.filter((each) => !chosen.includes(each));
    if (chosen.length === 0) this.#output.push("nothing");
    chosen.forEach(act);
  }

  #deliver(envelope: Envelope): void {
    this.#output.push(messageText(envelope.message));
    if (!this.#isCut(envelope.message)) this.#cluster.deliver(envelope);
  }

  /** The messages in flight that match words like "1>2" and "append". */
  #network(words: readonly string[]): Envelope[] {
    return this.#cluster.network.filter(({ message }) =>
      words.every((word) => {
        const ends = /^(\d*)>(\d*)$/.exec(word);
        if (ends === null) return messageText(message).split(" ").includes(word);
        const [, from, to] = ends;
        return (
          (from === "" || Number(from) === message.from) && (to === "" || Number(to) === message.to)
        );
      }),
    );
  }

  #isCut(message: Message): boolean {
    const { from, to } = message;
    return this.#cut.has(from) !== this.#cut.has(to) || this.#cutWays.has(`${from}>${to}`);
  }

  /** In detail what a single turn brings; of a settling cluster only what changed. */
  #trace(id: ReplicaId, ready: Ready): void {
    const say = (text: string): void => void this.#output.push(`${id}: ${text}`);
    for (const event of ready.events) {
      const text = eventText(event, this.#isQuiet);
      if (text !== undefined) say(text);
    }
    if (!this.#isQuiet) {
      for (const message of ready.send) say(`sends ${messageText(message)}`);
      if (ready.persist !== undefined) say(`writes ${persistText(ready)}`);
      for (const message of ready.sendAfterPersist) say(`then sends ${messageText(message)}`);
    }
    const applied = ready.apply.flatMap((run) => entriesOf(run).map(entryText));
    if (applied.length > 0) say(`applies ${applied.join(" ")}`);
    for (const { context, index } of ready.reads) say(`read ${context} at ${index}`);
    for (const context of ready.readsFailed) say(`read ${context} failed`);
    for (const { to, firstIndex, lastIndex } of ready.entriesToRead) {
      say(`reads ${firstIndex} to ${lastIndex} for ${to}`);
    }
    for (const { to, index } of ready.snapshotsToSend) say(`snapshot wanted by ${to} at ${index}`);
  }

  #allIds(): ReplicaId[] {
    return [...this.#cluster.replicas.keys()];
  }

  #show(ids: readonly ReplicaId[]): void {
    for (const id of ids) {
      const { disk } = this.#cluster.get(id);
      const entries = disk.entries.map((each) => `${entryText(each)}@${each.term}`);
      const base = disk.base.index > 0 ? `base ${disk.base.index}@${disk.base.term} ` : "";
      this.#output.push(`${id}: ${base}${entries.join(" ")}`.trimEnd());
    }
  }

  #status(): void {
    for (const id of this.#allIds()) {
      const { raft } = this.#cluster.get(id);
      this.#output.push(raft === undefined ? `${id} stopped` : raft.describe());
    }
  }
}

function persistText(ready: Ready): string {
  const persist = must(ready.persist);
  const parts: string[] = [];
  if (persist.snapshot !== undefined) parts.push(`snapshot ${persist.snapshot.index}`);
  if (persist.hardState !== undefined) {
    const { term, vote, commitIndex } = persist.hardState;
    parts.push(`term=${term} vote=${vote} commit=${commitIndex}`);
  }
  for (const run of persist.runs) {
    parts.push(`${run.firstIndex}:${entriesOf(run).map(entryText).join(",")}@${run.term}`);
  }
  return parts.join(" ");
}

function idOf(word: string | undefined): ReplicaId {
  const id = Number(word);
  assert(Number.isSafeInteger(id) && id > 0, `${word} is no replica`);
  return id;
}
