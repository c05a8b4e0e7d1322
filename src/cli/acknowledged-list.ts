/**
 * The list of acknowledged keys: one key a line, each written the moment its write was
 * acknowledged, so that the list is true however the process ends. A key with a line break in it,
 * or a quotation mark in front, stands as a JSON string. A last line without its end does not
 * count.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export class AcknowledgedList {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  add(key: string): void {
    writeSync(this.#file, `${/[\n\r]|^"/.test(key) ? JSON.stringify(key) : key}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

export function readAcknowledged(path: string): ReadonlySet<string> {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return new Set(lines.map((line) => (line.startsWith('"') ? (JSON.parse(line) as string) : line)));
}
