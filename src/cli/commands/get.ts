/** flotctl get: reads a key or a range of keys. */
import type { RangeResponse } from "../../client/client-types.js";
import type { RangeOperation } from "../../protocol/operations.js";
import { switchOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { GET_FLAGS, rangeOperation, selectionOf } from "../request-flags.js";
import type { KeySelection } from "../selection.js";

export const get: CommandDefinition<Context> = {
  flags: GET_FLAGS,
  writes: false,
  examples: [
    ["get color", "one key"],
    ["get user/ --prefix --limit 10", "the first ten keys with a prefix"],
    ["get color --consistency stale --max-staleness 2s", "from any replica, a bit old"],
  ],
  run: async (context, argv) => {
    const operation = rangeOperation(argv);
    const client = await context.client();
    const response = await read(client, context, { span: selectionOf(argv), operation });
    const printer = await context.printer({
      valueOnly: switchOf(argv, "print-value-only"),
      countOnly: operation.countOnly,
    });
    printer.range(response);
    context.remarkLevel(response.header);
    return EXIT.ok;
  },
};

interface Question {
  readonly span: KeySelection;
  readonly operation: RangeOperation;
}

/** A single key without bounds on its revisions is a point read. */
async function read(
  client: ClientPort,
  context: Context,
  { span, operation }: Question,
): Promise<RangeResponse> {
  const { level, maxStalenessMs, fanOut } = context.options;
  const reading = { level, maxStalenessMs, revision: operation.revision };
  if (!isPoint(span, operation)) {
    return client.range({ ...operation, ...reading, fanOut, ...span, rangeEnd: span.rangeEnd });
  }
  const { header, kv } = await client.get(span.key, {
    ...reading,
    keysOnly: operation.keysOnly,
  });
  const kvs = kv === undefined ? [] : [kv];
  return { header, kvs, more: false, count: kvs.length };
}

function isPoint(span: KeySelection, operation: RangeOperation): boolean {
  const bounds =
    operation.minModRevision +
    operation.maxModRevision +
    operation.minCreateRevision +
    operation.maxCreateRevision;
  const single = span.rangeEnd === undefined && span.fromKey !== true;
  return single && bounds === 0 && !operation.countOnly;
}
