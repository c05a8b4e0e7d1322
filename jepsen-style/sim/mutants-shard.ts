/** Bugs of the write path, MVCC, watches, the sequencer and the SDK. */
import type { Mutant } from "./mutant.js";

export const SHARD_MUTANTS: readonly Mutant[] = [
  {
    name: "overlay-ignored",
    bug: "MVCC: a write is evaluated on the applied state, blind to those before it in the log",
    file: "mvcc/evaluator",
    find: `this.#state = new StateView(tree, this.#overlay);`,
    replace: `this.#state = new StateView(tree, undefined);`,
  },
  {
    name: "overlay-kept",
    bug: "MVCC: what a deposed leader had evaluated is still seen when it leads again",
    file: "shard/write-path",
    find: `this.#host.machine.dropOverlay();`,
    replace: ``,
  },
  {
    name: "ack-before-commit",
    bug: "Raft: a write is answered when it is proposed, not when it is committed",
    file: "shard/write-path",
    find: `write.term = result.term; this.#pending.push(write);`,
    replace: `write.term = result.term; this.#host.acknowledge(write);`,
  },
  {
    name: "proposed-said-not-applied",
    bug: "etcd, Dgraph: a write in the log of a lost leader is said not to have happened",
    file: "shard/write-path",
    find: `this.#failQueue(error); this.#closeWanted = false;`,
    replace: `for (const write of this.#pending.splice(this.#head)) {
        write.responder.failed(write.requestId, error);
      }
      this.#failQueue(error); this.#closeWanted = false;`,
  },
  {
    name: "no-effects-unconfirmed",
    bug: "etcd: a compare that fails is answered by a leader that nobody confirmed",
    file: "shard/write-path",
    find: `if (evaluation.outcome === "noEffects") {`,
    replace: `if (evaluation.outcome === "noEffects") {
      const { revision, response } = evaluation;
      this.#host.acknowledge({ responder, requestId, revision, response });
      return false;`,
  },
  {
    name: "unknown-writes-retried",
    bug: "jetcd, TiDB: the client tries a write of unknown outcome again",
    file: "client/routed-call",
    find: `return this.#kind.isRead && LOST.has(error.code);`,
    replace: `return LOST.has(error.code);`,
  },
  {
    name: "sequencer-unconfirmed",
    bug: "Timestamp oracles: a deposed sequencer goes on handing out revisions",
    file: "node/sequencer",
    find: `replica.confirm(this, round, 0, this.#scratch.copy());`,
    replace: `this.#rounds.delete(round); for (const request of requests) this.#grant(request);`,
  },
  {
    name: "sequencer-window-unreserved",
    bug: "Timestamp oracles: revisions are handed out that no log entry has reserved",
    file: "node/sequencer",
    find: `if (window.current + count > window.reservedTo) {`,
    replace: `if (window.reservedTo < 1) {`,
  },
  {
    name: "sequencer-keeps-windows",
    bug: "Timestamp oracles: a sequencer that leads again goes on in its old window",
    file: "node/sequencer",
    find: `this.#windows.clear();`,
    replace: ``,
  },
  {
    name: "watch-resumes-late",
    bug: "etcd: a watch that was broken off goes on one revision too late",
    file: "client/watch-stream",
    find: `const startRevision = this.#owner.completeRevision(this.#index) + 1;`,
    replace: `const startRevision = this.#owner.completeRevision(this.#index) + 2;`,
  },
  {
    name: "watch-starts-live-too-early",
    bug: "etcd: a watch that starts at the newest revision waits for the next one",
    file: "mvcc/watch-hub",
    find: `if (start > this.#served) this.#goLive(watcher);`,
    replace: `if (start >= this.#served) this.#goLive(watcher);`,
  },
  {
    name: "snapshot-skips-watchers",
    bug: "etcd: watchers miss what a snapshot brought",
    file: "mvcc/watch-hub",
    find: `watcher.nextRevision = Math.max(watcher.nextRevision, this.#served + 1);`,
    replace: `watcher.nextRevision = this.#source.revision + 1;`,
  },
];
