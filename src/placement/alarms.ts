/**
 * Alarms that stay until somebody disarms them: raised for a node, kept with it in the map, gone
 * with it. What they mean for writes is the nodes' affair.
 */
import type { AlarmChangeRequest } from "../protocol/admin-messages.js";
import type { AlarmKind } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import { NOTHING, refuse, write } from "./decision.js";
import type { PlacementDecision } from "./decision.js";
import { noMember, nodeOf } from "./members.js";
import { nodeRecord } from "./records.js";
import type { PlacementState } from "./records.js";

const KINDS: readonly AlarmKind[] = ["noSpace", "corrupt"];

export function changeAlarm(
  state: PlacementState,
  { nodeId, kind, raised }: AlarmChangeRequest,
): PlacementDecision {
  if (!KINDS.includes(kind)) {
    return refuse(notApplied("invalidArgument", `there is no alarm ${String(kind)}`));
  }
  const known = nodeOf(state, nodeId);
  if (known === undefined) return raised === true ? refuse(noMember(nodeId)) : NOTHING;
  const { alarms = [] } = known;
  if (alarms.includes(kind) === raised) return NOTHING;
  const others = alarms.filter((each) => each !== kind);
  return write(state, [nodeRecord({ ...known, alarms: raised ? [...others, kind] : others })]);
}
