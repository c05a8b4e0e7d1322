/** etcd's Maintenance service, but for the snapshot, which is a stream. */
import type { AlarmKind } from "../protocol/cluster.js";
import type { Backend, MemberAlarm, NodeStatus } from "./backend.js";
import type { Message } from "./message-codec.js";
import { etcdError, GRPC, noLeader } from "./status.js";

/** The release of etcd whose API this is, as clients look for it. */
export const API_VERSION = "3.6.0";

const ALARM_ACTIVATE = 1;
const ALARM_DEACTIVATE = 2;
const ALARM_TYPES: Readonly<Record<AlarmKind, number>> = { noSpace: 1, corrupt: 2 };
const ALARM_KINDS: readonly (AlarmKind | undefined)[] = [undefined, "noSpace", "corrupt"];
const DOWNGRADE_CANCEL = 2;

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
      dbSizeInUse: BigInt(status.usedBytes),
      dbSizeQuota: BigInt(status.quotaBytes),
      leader: BigInt(status.leaderNodeId),
      raftIndex: BigInt(status.commitIndex),
      raftAppliedIndex: BigInt(status.appliedIndex),
      raftTerm: BigInt(status.term),
      errors: this.#errorsOf(status),
      isLearner: status.isLearner,
      storageVersion: API_VERSION,
      downgradeInfo: {},
    };
  }

  #errorsOf({ leaderNodeId, alarms }: NodeStatus): readonly string[] {
    const raised = alarms.map(({ memberId, kind }) => {
      return `memberID:${memberId} alarm:${alarmName(kind)} `;
    });
    return leaderNodeId === 0 ? [noLeader().message, ...raised] : raised;
  }

  /**
   * Those that were raised stay until they are disarmed; others hold by themselves, and are listed
   * as long as they do.
   */
  async alarm(request: Message): Promise<Message> {
    const alarms = (await this.#alarms(request)).map(({ memberId, kind }) => {
      return { memberID: memberId, alarm: ALARM_TYPES[kind] };
    });
    const { revision } = await this.#backend.status();
    return { revision: BigInt(revision), alarms };
  }

  /** What is asked for, or what was changed. */
  async #alarms(request: Message): Promise<readonly MemberAlarm[]> {
    const kind = ALARM_KINDS[Number(request["alarm"] ?? 0)];
    const action = request["action"] ?? 0;
    const isChange = action === ALARM_ACTIVATE || action === ALARM_DEACTIVATE;
    if (!isChange) {
      const all = await this.#backend.alarms();
      return kind === undefined ? all : all.filter((alarm) => alarm.kind === kind);
    }
    if (kind === undefined) return [];
    const alarm: MemberAlarm = { memberId: (request["memberID"] ?? 0n) as bigint, kind };
    if (action === ALARM_DEACTIVATE) return (await this.#backend.disarm(alarm)) ? [alarm] : [];
    await this.#backend.raiseAlarm(alarm);
    return [alarm];
  }

  async defragment(): Promise<Message> {
    await this.#backend.defragment();
    return {};
  }

  /** There is no older release whose files these could be. */
  async downgrade(request: Message): Promise<Message> {
    if (request["action"] === DOWNGRADE_CANCEL) {
      throw etcdError(GRPC.failedPrecondition, "no inflight downgrade job");
    }
    const { version = "" } = request;
    const isVersion = /^\d+\.\d+(\.\d+)?$/.test(version as string);
    const fault = isVersion
      ? "invalid downgrade target version"
      : "wrong downgrade target version format";
    throw etcdError(GRPC.invalidArgument, fault);
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
    const members = await this.#backend.members("serializable");
    const found = members.find((node) => BigInt(node.nodeId) === target);
    if (found === undefined || found.learner === true) {
      throw etcdError(GRPC.failedPrecondition, "bad leader transferee");
    }
    await this.#backend.moveLeader(found.nodeId);
    return {};
  }
}

export function alarmName(kind: AlarmKind): string {
  return kind.toUpperCase();
}
