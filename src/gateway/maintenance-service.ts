/** The part of etcd's Maintenance service that there is: status, alarms (none), move-leader. */
import type { Backend } from "./backend.js";
import type { Message } from "./message-codec.js";
import { etcdError, GRPC, noLeader, notImplemented } from "./status.js";

/** The release of etcd whose API this is, as clients look for it. */
export const API_VERSION = "3.6.0";

const ALARM_GET = 0;
const ALARM_DEACTIVATE = 2;

export class MaintenanceService {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** What this node says of itself: it answers also where the cluster does not. */
  async status(): Promise<Message> {
    const status = await this.#backend.status();
    return {
      revision: BigInt(status.revision),
      version: API_VERSION,
      dbSize: BigInt(status.storedBytes),
      dbSizeInUse: BigInt(status.storedBytes),
      leader: BigInt(status.leaderNodeId),
      raftIndex: BigInt(status.commitIndex),
      raftAppliedIndex: BigInt(status.appliedIndex),
      raftTerm: BigInt(status.term),
      errors: status.leaderNodeId === 0 ? [noLeader().message] : [],
      isLearner: status.isLearner,
      storageVersion: API_VERSION.replace(/\.\d+$/, ""),
    };
  }

  /** Nothing raises alarms: a full disk refuses writes, and takes them again when there is room. */
  async alarm(request: Message): Promise<Message> {
    const action = request["action"] ?? ALARM_GET;
    if (action !== ALARM_GET && action !== ALARM_DEACTIVATE) {
      throw notImplemented("alarms cannot be raised by hand");
    }
    return { revision: BigInt(await this.#backend.revision()) };
  }

  /** Of this node's replica, so that two members can be compared. */
  async hashKv(request: Message): Promise<Message> {
    const asked = Number(request["revision"] ?? 0n);
    const answer = await this.#backend.hash(Math.min(Math.max(asked, 0), Number.MAX_SAFE_INTEGER));
    return {
      revision: BigInt(answer.revision),
      hash: answer.hash,
      compact_revision: BigInt(answer.compactedRevision === 0 ? -1 : answer.compactedRevision),
      hash_revision: BigInt(answer.hashRevision),
    };
  }

  /** Of all that is readable; how it lies in files is nobody's business. */
  async hash(): Promise<Message> {
    const { revision, hash } = await this.#backend.hash(0);
    return { revision: BigInt(revision), hash };
  }

  async moveLeader(request: Message): Promise<Message> {
    const { memberId } = this.#backend.origin;
    const { leaderNodeId } = await this.#backend.status();
    if (BigInt(leaderNodeId) !== memberId) throw etcdError(GRPC.failedPrecondition, "not leader");
    const target = request["targetID"] ?? 0n;
    const members = await this.#backend.members();
    const found = members.find((node) => BigInt(node.nodeId) === target);
    if (found === undefined || found.learner === true) {
      throw etcdError(GRPC.failedPrecondition, "bad leader transferee");
    }
    await this.#backend.moveLeader(found.nodeId);
    return {};
  }
}
