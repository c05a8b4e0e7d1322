/**
 * flotctl watch: prints changes as they happen, until Ctrl-C or an error. With -i it reads watches
 * from the input, one a line, and shows them all.
 */
import type { WatchItem } from "../../client/client-types.js";
import { switchOf } from "../arguments.js";
import type { ClientPort, WatchStream } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, failureOf, failureText } from "../failure.js";
import { aborted } from "../held-place.js";
import { type Printer, unsupported } from "../printer.js";
import { eventEnvironment, runProgram } from "../run-program.js";
import { note } from "../terminal.js";
import { parseWatchLine, WATCH_FLAGS, watchRequest, type WatchRequest } from "../watch-request.js";

export const watch: CommandDefinition<Context> = {
  flags: {
    ...WATCH_FLAGS,
    interactive: { type: "boolean", alias: "i", describe: "read watches from the input" },
  },
  writes: false,
  endsItself: true,
  examples: [
    ["watch color", "one key"],
    ["watch user/ --prefix --rev 100", "a prefix, from revision 100 on"],
    ["watch job/ --prefix -- ./run-job", "run a program for each change"],
  ],
  epilogue: [
    "The program after -- runs once for each event, one after the other, with FLOTCTL_WATCH_REVISION,",
    "FLOTCTL_WATCH_EVENT_TYPE, FLOTCTL_WATCH_KEY and FLOTCTL_WATCH_VALUE (both quoted) set.",
    "With -i: lines `watch [flags] key [range-end] [-- program]` and `progress`.",
  ].join("\n"),
  run: async (context, argv) => {
    if (context.options.format === "table") throw unsupported("watch", "table");
    const interactive = switchOf(argv, "interactive");
    if (interactive && context.rest.length > 0) {
      throw badArguments("-i reads the program from the input, after -- on the watch's line");
    }
    const request = interactive ? undefined : watchRequest(argv, context.rest);
    const client = await context.client();
    const watches = new Watches(context, client, {
      printer: await context.printer(),
      wantsProgress: interactive,
    });
    const ended = request === undefined ? watches.readLines() : watches.show(request);
    try {
      await Promise.race([ended, aborted(context.signal)]);
    } finally {
      await watches.cancel();
    }
    return context.signal.aborted ? EXIT.interrupted : EXIT.ok;
  },
};

interface Shown {
  readonly stream: WatchStream;
  readonly request: WatchRequest;
  ended: Promise<void>;
  /** Everything up to here was shown. */
  revision: number;
}

/** The watches of one run, and how their parts are shown. */
class Watches {
  readonly #context: Context;
  readonly #client: ClientPort;
  readonly #printer: Printer;
  readonly #wantsProgress: boolean;
  readonly #shown: Shown[] = [];
  /** `progress` was asked for before every watch knew its own. */
  #progressAsked = false;
  #cancelled = false;

  /** With `wantsProgress` every watch learns how far it is, though it may not print that. */
  constructor(
    context: Context,
    client: ClientPort,
    means: { printer: Printer; wantsProgress: boolean },
  ) {
    this.#context = context;
    this.#client = client;
    this.#printer = means.printer;
    this.#wantsProgress = means.wantsProgress;
  }

  /** Resolves when the stream ends, which is an error unless it was cancelled. */
  show(request: WatchRequest): Promise<void> {
    const { fanOut } = this.#context.options;
    const progress = this.#wantsProgress || request.options.progress === true;
    const stream = this.#client.watch({ ...request.options, progress, fanOut });
    const one: Shown = { stream, request, revision: 0, ended: Promise.resolve() };
    one.ended = this.#follow(one);
    this.#shown.push(one);
    return one.ended;
  }

  async #follow(one: Shown): Promise<void> {
    for await (const part of one.stream) {
      if (this.#cancelled) return;
      await this.#part(one, part);
    }
  }

  async #part(one: Shown, part: WatchItem): Promise<void> {
    if (!("events" in part)) {
      one.revision = part.progress;
      if (one.request.options.progress === true) this.#printer.watch(part);
      return this.#answerProgress();
    }
    one.revision = part.revision;
    const { program } = one.request;
    this.#printer.watch(part);
    this.#answerProgress();
    if (program.length === 0) return;
    for (const event of part.events) {
      const code = await runProgram(program, eventEnvironment(part.revision, event));
      if (code !== 0) note(this.#context.terminal, `${program[0]} ended with ${code}`, "yellow");
    }
  }

  /** Ends with the input; the watches go on until they end or are cancelled. */
  async readLines(): Promise<void> {
    for await (const line of this.#context.terminal.inputLines()) {
      if (this.#cancelled) return;
      const wanted = parseWatchLine(line);
      if (wanted.kind === "watch") {
        this.show(wanted).catch((error: unknown) => {
          if (this.#cancelled) return;
          this.#context.terminal.err.write(failureText(failureOf(error, false)));
        });
      } else if (wanted.kind === "progress") {
        this.#progressAsked = true;
        this.#answerProgress();
      }
    }
    await Promise.allSettled(this.#shown.map(({ ended }) => ended));
  }

  /** Everything up to the least revision of all watches was shown. */
  #answerProgress(): void {
    if (!this.#progressAsked || this.#shown.length === 0) return;
    const progress = Math.min(...this.#shown.map(({ revision }) => revision));
    if (progress === 0) return;
    this.#progressAsked = false;
    this.#printer.watch({ progress });
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    for (const { stream } of this.#shown) stream.cancel();
    await Promise.allSettled(this.#shown.map(({ ended }) => ended));
  }
}
