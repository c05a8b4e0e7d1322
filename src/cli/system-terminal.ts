/**
 * The terminal of this process. A reader that went away (`| head`) ends it quietly; remarks that
 * find no room are lost, data that finds none is an error.
 */
import { createInterface } from "node:readline";
import { concatBytes, utf8Text } from "../base/bytes.js";
import { EXIT } from "./exit-codes.js";
import type { Output, Terminal } from "./terminal.js";

const COLUMNS_ELSEWHERE = 80;

function outputOf(stream: NodeJS.WriteStream, carries: "data" | "remarks"): Output {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    if (carries === "data") process.exit(EXIT.inputOutput);
  });
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? COLUMNS_ELSEWHERE;
    },
    write: (data) => void stream.write(data),
  };
}

async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return concatBytes(...chunks);
}

function onInterrupt(stop: () => void): () => void {
  // "disconnect" comes where the process that started this one has gone.
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "disconnect"] as const;
  for (const signal of signals) process.on(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}

/** Raw mode: Ctrl-C arrives as a key too, and no longer as a signal. */
function onKey(press: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const receive = (chunk: Uint8Array): void => {
    for (const key of utf8Text(chunk)) press(key);
  };
  stdin.setRawMode(true);
  stdin.on("data", receive);
  return () => {
    stdin.off("data", receive);
    stdin.setRawMode(false);
    stdin.pause();
  };
}

export function systemTerminal(): Terminal {
  return {
    out: outputOf(process.stdout, "data"),
    err: outputOf(process.stderr, "remarks"),
    env: process.env,
    inputIsTTY: process.stdin.isTTY === true,
    readInput,
    inputLines: () =>
      createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }),
    onInterrupt,
    onKey,
  };
}

/** Ends the process once what was written has left it. */
export function endProcess(exitCode: number): void {
  process.exitCode = exitCode;
  process.stdout.write("", () => {
    process.stderr.write("", () => process.exit(exitCode));
  });
}
