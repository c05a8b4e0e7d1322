/**
 * Alarms as etcd's clients know them, by the SDK: of any number as a member's. One that no member
 * has is raised all the same, and stays (a stray) until it is disarmed.
 */
import type { Admin } from "../client/admin.js";
import type { MemberAlarm } from "../gateway/backend.js";
import type { StatusResponse } from "../protocol/admin-messages.js";
import type { AlarmKind, ClusterMap, StrayAlarm } from "../protocol/cluster.js";

/** Of all members that answer. */
export async function allAlarms(admin: Admin): Promise<readonly MemberAlarm[]> {
  const { alarms, strays } = await admin.alarms();
  const known = alarms.map(({ node, kind }) => ({ memberId: BigInt(node.nodeId), kind }));
  return [...known, ...strays.map(memberAlarm)];
}

export async function raiseAlarm(admin: Admin, { memberId, kind }: MemberAlarm): Promise<void> {
  const known = (await admin.members()).find(({ nodeId }) => BigInt(nodeId) === memberId);
  const named =
    known === undefined ? { nodeId: 0, memberId: String(memberId) } : { nodeId: known.nodeId };
  await admin.changeAlarm({ ...named, kind, raised: true });
}

/** false: it was not raised. */
export async function disarm(admin: Admin, { memberId, kind }: MemberAlarm): Promise<boolean> {
  const { nodes, strayAlarms = [] } = (await admin.map()).clusterMap;
  const node = nodes.find(({ nodeId }) => BigInt(nodeId) === memberId);
  const isOfNode = node?.alarms?.includes(kind) === true;
  if (isOfNode) await admin.changeAlarm({ nodeId: node.nodeId, kind, raised: false });
  // A member may have come to an alarm of its number.
  const stray = strayAlarms.find((one) => BigInt(one.memberId) === memberId && one.kind === kind);
  if (stray === undefined) return isOfNode;
  await admin.changeAlarm({ nodeId: 0, ...stray, raised: false });
  return true;
}

/** What a member shows in its status: those raised for others too, as in etcd. */
export function shownAlarms(
  memberId: bigint,
  status: Pick<StatusResponse, "alarms">,
  map: ClusterMap,
): readonly MemberAlarm[] {
  const ofNodes = map.nodes.flatMap(({ nodeId, alarms = [] }) => {
    return alarms.map((kind) => ({ memberId: BigInt(nodeId), kind }));
  });
  const raised = [...ofNodes, ...(map.strayAlarms ?? []).map(memberAlarm)];
  const isNew = (kind: AlarmKind): boolean =>
    !raised.some((alarm) => alarm.memberId === memberId && alarm.kind === kind);
  const own = (status.alarms ?? []).filter(isNew);
  return [...raised, ...own.map((kind) => ({ memberId, kind }))];
}

function memberAlarm({ memberId, kind }: StrayAlarm): MemberAlarm {
  return { memberId: BigInt(memberId), kind };
}
