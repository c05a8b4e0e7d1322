/** flotctl alarm list, alarm disarm: the troubles of nodes that hold now. */
import type { AlarmKind } from "../../protocol/admin-messages.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { type MemberAlarm, alarmSheet } from "../sheets.js";
import { note } from "../terminal.js";

const EPILOGUE = [
  "NOSPACE: the node's disk is full, it takes no writes until there is room. CORRUPT: a replica of its",
  "is damaged, until the others have refilled it. Alarms are raised and end by themselves.",
].join("\n");

export const alarmList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  epilogue: EPILOGUE,
  run: async (context) => {
    (await context.printer()).sheet(alarmSheet(await alarms(context)));
    return EXIT.ok;
  },
};

/** Nothing is ended by hand: what still holds is an error, with its remedy. */
export const alarmDisarm: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  epilogue: EPILOGUE,
  run: async (context) => {
    const [first] = await alarms(context);
    if (first === undefined) return EXIT.ok;
    const { kind, name } = first;
    throw new CliError(EXIT.failed, `${kind.toUpperCase()} of ${name} still holds`, {
      because: "an alarm ends by itself, when what it is about has ended",
      next: REMEDIES[kind],
    });
  },
};

const REMEDIES: Readonly<Record<AlarmKind, string>> = {
  noSpace: "make room on the node's disk",
  corrupt: "flotctl endpoint health --cluster says which replica it is",
};

async function alarms(context: Context): Promise<readonly MemberAlarm[]> {
  const client = await context.client();
  const { nodes } = (await client.admin.map()).clusterMap;
  const started = nodes.filter(({ clientAddress }) => clientAddress !== "");
  const found = started.map(async ({ nodeId, name, clientAddress }) => {
    const status = await client.admin.status(clientAddress).catch(() => undefined);
    if (status === undefined) note(context.terminal, `${name} does not answer`, "yellow");
    return (status?.alarms ?? []).map((kind) => ({ nodeId, name, kind }));
  });
  return (await Promise.all(found)).flat();
}
