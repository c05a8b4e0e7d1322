/** The terminal of this process. A reader that went away (`| head`) ends it quietly. */
import { createInterface } from "node:readline";
import { concatBytes } from "../base/bytes.js";
import { EXIT } from "./exit-codes.js";
import type { Output, Terminal } from "./terminal.js";

const COLUMNS_ELSEWHERE = 80;

function outputOf(stream: NodeJS.WriteStream): Output {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.inputOutput);
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
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}

export function systemTerminal(): Terminal {
  return {
    out: outputOf(process.stdout),
    err: outputOf(process.stderr),
    env: process.env,
    inputIsTTY: process.stdin.isTTY === true,
    readInput,
    inputLines: () =>
      createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }),
    onInterrupt,
  };
}

/** Ends the process once what was written has left it. */
export function endProcess(exitCode: number): void {
  process.exitCode = exitCode;
  process.stdout.write("", () => {
    process.stderr.write("", () => process.exit(exitCode));
  });
}
