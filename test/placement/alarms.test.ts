/** Alarms in the map: raised for a node, disarmed, and gone with it. */
import { expect, test } from "vitest";
import { changeAlarm } from "../../src/placement/alarms.js";
import { addMember, forgetLeft, registerNode, removeMember } from "../../src/placement/members.js";
import type { AlarmKind } from "../../src/protocol/cluster.js";
import { founded, nodeOf } from "./support.js";
import type { Records } from "./support.js";

function alarmsOf(records: Records): (readonly AlarmKind[])[] {
  return records.state.map!.nodes.map(({ alarms = [] }) => alarms);
}

test("an alarm stays until it is disarmed, whatever the node says of itself", () => {
  const records = founded(3);
  const change = (nodeId: number, kind: AlarmKind, raised: boolean): void =>
    records.run(changeAlarm(records.state, { nodeId, kind, raised }));
  change(2, "noSpace", true);
  change(2, "corrupt", true);
  records.run(registerNode(records.state, nodeOf(2, { clientAddress: "elsewhere:1" })));
  expect(alarmsOf(records)).toEqual([[], ["noSpace", "corrupt"], []]);
  change(2, "noSpace", false);
  expect(alarmsOf(records)).toEqual([[], ["corrupt"], []]);
});

test("what is so already is not written again", () => {
  const records = founded(3);
  const raise = { nodeId: 1, kind: "noSpace", raised: true } as const;
  expect(changeAlarm(records.state, { ...raise, raised: false }).kind).toBe("nothing");
  records.run(changeAlarm(records.state, raise));
  expect(changeAlarm(records.state, raise).kind).toBe("nothing");
});

test("a stranger has none, and there are only those that there are", () => {
  const { state } = founded(3);
  const refused = { kind: "refused", error: { code: "nodeNotFound" } };
  expect(changeAlarm(state, { nodeId: 9, kind: "noSpace", raised: true })).toMatchObject(refused);
  expect(changeAlarm(state, { nodeId: 9, kind: "noSpace", raised: false }).kind).toBe("nothing");
  const unknown = { nodeId: 1, kind: "fire" as AlarmKind, raised: true };
  expect(changeAlarm(state, unknown)).toMatchObject({ error: { code: "invalidArgument" } });
});

test("members that there are not have alarms too, until they are disarmed, and not too many", () => {
  const records = founded(3);
  const stray = { nodeId: 0, memberId: "18446744073709551615", kind: "noSpace" as AlarmKind };
  records.run(changeAlarm(records.state, { ...stray, raised: true }));
  records.run(changeAlarm(records.state, { ...stray, memberId: "0", raised: true }));
  expect(changeAlarm(records.state, { ...stray, raised: true }).kind).toBe("nothing");
  const raised = records.state.map!.strayAlarms!.map(({ memberId }) => memberId);
  expect(raised).toEqual(["18446744073709551615", "0"]);
  records.run(changeAlarm(records.state, { ...stray, raised: false }));
  expect(records.state.map!.strayAlarms).toEqual([{ memberId: "0", kind: "noSpace" }]);
  expect(changeAlarm(records.state, { ...stray, raised: false }).kind).toBe("nothing");
  const refused = { kind: "refused", error: { code: "invalidArgument" } };
  const named = { ...stray, memberId: "n1", raised: true };
  expect(changeAlarm(records.state, named)).toMatchObject(refused);
  for (let i = 1; i < 100; i++) {
    records.run(changeAlarm(records.state, { ...stray, memberId: String(i), raised: true }));
  }
  const over = { ...stray, memberId: "100", raised: true };
  expect(changeAlarm(records.state, over)).toMatchObject(refused);
});

test("the alarms of a node go with it", () => {
  const records = founded(3);
  const wanted = { name: "n4", peerAddress: "n4:1", learner: false };
  records.run(addMember(records.state, wanted));
  const { nodeId } = records.state.map!.nodes.find(({ name }) => name === "n4")!;
  records.run(changeAlarm(records.state, { nodeId, kind: "noSpace", raised: true }));
  expect(alarmsOf(records).flat()).toEqual(["noSpace"]);
  const ids = new Set([1, 2, 3]);
  records.run(removeMember(records.state, nodeId, { alive: ids, fit: ids, reports: new Map() }));
  records.run(forgetLeft(records.state));
  expect(alarmsOf(records)).toEqual([[], [], []]);
});
