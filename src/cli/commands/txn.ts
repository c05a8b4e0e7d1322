/** flotctl txn: runs a transaction that is read from the input. */
import type { Transaction } from "../../protocol/operations.js";
import { switchOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { unsupported } from "../printer.js";
import { note, type Terminal } from "../terminal.js";
import { parseCompare, parseOperation, readPart } from "../transaction-text.js";

export const txn: CommandDefinition<Context> = {
  flags: {
    interactive: { type: "boolean", alias: "i", describe: "ask for each part of the transaction" },
  },
  writes: true,
  epilogue: [
    "The input has three parts, each ended by an empty line:",
    '  compares, as mod("key") > "0"; version, create, mod, value, lease with =, !=, <, >',
    "  operations if all compares hold, as put, get and del are written",
    "  operations otherwise",
  ].join("\n"),
  run: async (context, argv) => {
    if (context.options.format === "table") throw unsupported("txn", "table");
    const transaction = await readTransaction(context.terminal, switchOf(argv, "interactive"));
    const client = await context.client();
    const response = await client.txn(transaction);
    (await context.printer()).txn(response);
    return EXIT.ok;
  },
};

async function readTransaction(terminal: Terminal, interactive: boolean): Promise<Transaction> {
  const lines = terminal.inputLines()[Symbol.asyncIterator]();
  const ask = (text: string): void => {
    if (interactive) note(terminal, text, "bold");
  };
  ask("compares:");
  const compares = await readPart(lines, parseCompare);
  ask("success requests (get, put, del):");
  const success = await readPart(lines, parseOperation);
  ask("failure requests (get, put, del):");
  const failure = await readPart(lines, parseOperation);
  return { compares, success, failure };
}
