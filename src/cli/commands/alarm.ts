/** flotctl alarm list, alarm disarm: alarms of nodes, raised or holding by themselves. */
import type { AlarmReport, NodeAlarm } from "../../client/admin.js";
import type { AlarmKind, StrayAlarm } from "../../protocol/cluster.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { alarmSheet } from "../sheets.js";
import { note } from "../terminal.js";

const EPILOGUE = [
  "NOSPACE: the default keyspace has exceeded its quota, or the node's disk is full: no writes. CORRUPT:",
  "a replica of its is damaged, until the others have refilled it. What was raised, by the quota or by",
  "hand, stays until it is disarmed; what a disk or a damaged replica causes ends with that.",
].join("\n");

export const alarmList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  epilogue: EPILOGUE,
  run: async (context) => {
    const { alarms, strays } = await report(context);
    await show(context, alarms, strays);
    return EXIT.ok;
  },
};

/** What cannot be disarmed, because it still holds, is an error, with its remedy. */
export const alarmDisarm: CommandDefinition<Context> = {
  flags: {},
  writes: true,
  epilogue: EPILOGUE,
  run: async (context) => {
    const { admin } = await context.client();
    const { alarms, strays } = await report(context);
    const raised = alarms.filter((alarm) => alarm.raised);
    for (const { node, kind } of raised) {
      await admin.changeAlarm({ nodeId: node.nodeId, kind, raised: false });
    }
    for (const { memberId, kind } of strays) {
      await admin.changeAlarm({ nodeId: 0, memberId, kind, raised: false });
    }
    await show(context, raised, strays);
    const held = alarms.find((alarm) => !alarm.raised);
    if (held === undefined) return EXIT.ok;
    throw new CliError(EXIT.failed, `${held.kind.toUpperCase()} of ${held.node.name} still holds`, {
      because: "it was raised by nobody, and ends when what it is about has ended",
      next: REMEDIES[held.kind],
    });
  },
};

const REMEDIES: Readonly<Record<AlarmKind, string>> = {
  noSpace: "make room on the node's disk",
  corrupt: "flotctl endpoint health --cluster says which replica it is",
};

async function show(
  context: Context,
  found: readonly NodeAlarm[],
  strays: readonly StrayAlarm[],
): Promise<void> {
  (await context.printer()).sheet(alarmSheet(found, strays));
}

async function report(context: Context): Promise<AlarmReport> {
  const found = await (await context.client()).admin.alarms();
  for (const { name } of found.silent) {
    note(context.terminal, `${name} does not answer`, "yellow");
  }
  return found;
}
