/**
 * flotilla start: runs one node until it is asked to end, or has to stop itself. Asked once, it
 * hands its leaderships over first; asked twice, it ends at once.
 */
import type { Options } from "yargs";
import { checkConfig } from "../../node/config.js";
import { KvError } from "../../protocol/errors.js";
import { switchOf, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, CliError } from "../failure.js";
import type { NodeContext } from "../node-context.js";
import {
  DEFAULT_SETTINGS,
  namingFlags,
  NODE_SETTINGS,
  type NodeSettings,
} from "../node-settings.js";
import {
  readConfigFile,
  type Resolved,
  resolveSettings,
  settingsText,
} from "../resolve-settings.js";
import { note } from "../terminal.js";

const SETTING_FLAGS: Readonly<Record<string, Options>> = Object.fromEntries(
  NODE_SETTINGS.map((setting) => [
    setting.flag,
    {
      type: "string",
      describe: setting.describe,
      defaultDescription: setting.show(DEFAULT_SETTINGS) || undefined,
      requiresArg: true,
    },
  ]),
);

export const start: CommandDefinition<NodeContext> = {
  flags: {
    "config-file": { type: "string", describe: "JSON file with settings", requiresArg: true },
    "print-config": { type: "boolean", describe: "print every setting and its origin, and end" },
    ...SETTING_FLAGS,
  },
  writes: false,
  endsItself: true,
  examples: [
    ["start --data-dir data", "a cluster of one node"],
    ["start --name n1 --initial-cluster n1=10.0.0.1:2380,n2=…,n3=…", "one of three founders"],
    ["start --name n4 --initial-cluster-state existing …", "a node that member add registered"],
    ["start --config-file node.json --print-config", "what would hold, and why"],
  ],
  epilogue: [
    "A flag goes over its variable (FLOTILLA_LISTEN_CLIENT for --listen-client), that over the key",
    "in the file (listenClient), that over the default. Set UV_THREADPOOL_SIZE=16 before the start:",
    "the log's writes share the threads, and the number cannot be changed from inside.",
  ].join("\n"),
  run: async (context, argv) => {
    const path = textOf(argv, "config-file");
    const resolved = resolveSettings({
      argv,
      env: context.terminal.env,
      file: path === undefined ? {} : readConfigFile(path),
      fileName: path ?? "",
    });
    if (switchOf(argv, "print-config")) {
      context.terminal.out.write(settingsText(resolved));
      return EXIT.ok;
    }
    check(resolved);
    return runNode(context, resolved.settings);
  },
};

function check({ settings }: Resolved): void {
  try {
    checkConfig(settings);
  } catch (error) {
    throw badArguments(namingFlags(KvError.from(error).message), "flotilla start --print-config");
  }
}

async function runNode(context: NodeContext, settings: NodeSettings): Promise<number> {
  const { logLevel, ...config } = settings;
  const { terminal, signal } = context;
  const node = await context.startNode(config, logLevel).catch((error: unknown) => {
    throw startFailure(error, settings);
  });
  note(terminal, `node ${settings.name} runs: clients at ${node.clientAddress}`);
  const failure = await Promise.race([node.failed, ended(signal)]);
  if (failure === undefined) {
    await node.close();
    return EXIT.ok;
  }
  const isRefused = failure instanceof KvError && failure.code === "nodeRefused";
  throw new CliError(EXIT.failed, `the node stopped itself: ${failure.message}`, {
    because: isRefused ? undefined : "it could not go on without risking data; see the log above",
    next: isRefused ? "flotctl member list" : "see to the cause, then start it again",
  });
}

function ended(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

function startFailure(error: unknown, settings: NodeSettings): CliError {
  const message = error instanceof Error ? error.message : String(error);
  const taken = message.includes("EADDRINUSE");
  return new CliError(EXIT.failed, `node ${settings.name} cannot start: ${message}`, {
    because: taken ? "another process listens on the address" : undefined,
    next: taken ? "choose another --listen-client or --listen-peer" : undefined,
  });
}
