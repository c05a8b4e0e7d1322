/**
 * What a command may see of the process it runs in: its streams, its environment and Ctrl-C. Data
 * goes to `out`, everything else to `err`. Tests hand in a terminal of their own; the one of the
 * process is in system-terminal.ts.
 */
import { styleText } from "node:util";

export interface Output {
  readonly isTTY: boolean;
  readonly columns: number;
  write(data: string | Uint8Array): void;
}

export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inputIsTTY: boolean;
  /** All of the input, to its end. */
  readInput(): Promise<Uint8Array>;
  /** The input line by line, without line ends. */
  inputLines(): AsyncIterable<string>;
  /** Calls `stop` at Ctrl-C or a request to end; returns how to stop listening. */
  onInterrupt(stop: () => void): () => void;
  /** Calls `press` for each key on a terminal, nowhere else; returns how to stop listening. */
  onKey(press: (key: string) => void): () => void;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** `text` in a style where a person looks at it and wants colour; as it is anywhere else. */
export function styled(terminal: Terminal, output: Output, style: Style, text: string): string {
  const wanted = output.isTTY && (terminal.env["NO_COLOR"] ?? "") === "";
  return wanted ? styleText(style, text, { validateStream: false }) : text;
}

/** A remark for people, never data. */
export function note(terminal: Terminal, text: string, style: Style = "dim"): void {
  terminal.err.write(`${styled(terminal, terminal.err, style, text)}\n`);
}
