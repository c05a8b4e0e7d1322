/**
 * Alarms that stay until somebody disarms them: raised for a node, kept with it in the map, gone
 * with it. As in etcd they may also be raised for members that there are not, 0 or any other
 * number, and count as much; those lie beside the nodes. What they mean for writes is the nodes'
 * affair.
 */
import type { AlarmChangeRequest } from "../protocol/admin-messages.js";
import type { AlarmKind, StrayAlarm } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import { NOTHING, refuse, write } from "./decision.js";
import type { PlacementDecision } from "./decision.js";
import { noMember, nodeOf } from "./members.js";
import { nodeRecord, strayAlarmsRecord } from "./records.js";
import type { PlacementState } from "./records.js";

/** More are refused: every map carries them. */
const STRAYS_MAX = 100;
const MEMBER_ID = /^\d{1,20}$/;

const KINDS: readonly AlarmKind[] = ["noSpace", "corrupt"];

export function changeAlarm(
  state: PlacementState,
  { nodeId, memberId, kind, raised }: AlarmChangeRequest,
): PlacementDecision {
  if (!KINDS.includes(kind)) {
    return refuse(notApplied("invalidArgument", `there is no alarm ${String(kind)}`));
  }
  if (memberId !== undefined) return changeStray(state, { memberId, kind }, raised);
  const known = nodeOf(state, nodeId);
  if (known === undefined) return raised === true ? refuse(noMember(nodeId)) : NOTHING;
  const { alarms = [] } = known;
  if (alarms.includes(kind) === raised) return NOTHING;
  const others = alarms.filter((each) => each !== kind);
  return write(state, [nodeRecord({ ...known, alarms: raised ? [...others, kind] : others })]);
}

function changeStray(state: PlacementState, alarm: StrayAlarm, raised: boolean): PlacementDecision {
  const { memberId, kind } = alarm;
  if (!MEMBER_ID.test(memberId)) {
    return refuse(notApplied("invalidArgument", `${memberId} is no member's number`));
  }
  const strays = state.map?.strayAlarms ?? [];
  const others = strays.filter((each) => each.memberId !== memberId || each.kind !== kind);
  if (others.length < strays.length === raised) return NOTHING;
  if (raised && strays.length >= STRAYS_MAX) {
    const text = `there are ${STRAYS_MAX} alarms of members that there are not; disarm some`;
    return refuse(notApplied("invalidArgument", text, { bound: STRAYS_MAX }));
  }
  return write(state, [strayAlarmsRecord(raised ? [...strays, alarm] : others)]);
}
