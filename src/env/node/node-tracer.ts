/**
 * Diagnostics as JSON lines, by pino, to stderr or a file. The library is loaded at the first line
 * that passes the level, so that a tool which has nothing to say does not pay for it. A line that
 * cannot be written (the disk is full) waits for the next; with too many of them, lines are lost.
 * Where the library or the file cannot be opened, because the process has no descriptor left, lines
 * go to stderr bare, and the next one tries again.
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import type { Logger, pino as Pino } from "pino";
import type { TraceLevel, Tracer } from "../tracer.js";

export interface NodeTracerOptions {
  /** Lines below this level are dropped. */
  readonly level?: TraceLevel | undefined;
  /** A file to append to; stderr without it. */
  readonly file?: string | undefined;
  /** Fields of every line, such as the node's name. */
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
}

const RANK: Readonly<Record<TraceLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STDERR = 2;
const WAITING_BYTES_MAX: number = 64 * 1024;

export function nodeTracer(options: NodeTracerOptions = {}): Tracer {
  const level = options.level ?? "info";
  let logger: Logger | undefined;
  return {
    trace: (lineLevel, message, fields) => {
      if (RANK[lineLevel] < RANK[level]) return;
      try {
        logger ??= openLogger(level, options);
      } catch (error) {
        writeBare({
          ...options.fields,
          ...fields,
          level: lineLevel,
          message,
          error: String(error),
        });
        return;
      }
      logger[lineLevel](fields ?? {}, message);
    },
  };
}

function openLogger(level: TraceLevel, options: NodeTracerOptions): Logger {
  const require = createRequire(import.meta.url);
  const { pino } = require("pino") as { pino: typeof Pino };
  const destination = pino.destination({
    dest: options.file ?? STDERR,
    sync: true,
    maxLength: WAITING_BYTES_MAX,
  });
  // Without a listener it would end the process, which has more important things to do.
  destination.on("error", () => undefined);
  return pino({ level, base: options.fields ?? {} }, destination);
}

function writeBare(line: Readonly<Record<string, unknown>>): void {
  try {
    fs.writeSync(STDERR, `${JSON.stringify(line)}\n`);
  } catch {
    // Nobody reads stderr either, and what is traced is never worth more than what goes on.
  }
}
