/** The version of this software: that of its package, which is the next package.json above. */
import { existsSync, readFileSync } from "node:fs";

export function softwareVersion(): string {
  for (let above = "../"; above.length < 24; above += "../") {
    const file = new URL(`${above}package.json`, import.meta.url);
    if (existsSync(file)) {
      const { version } = JSON.parse(readFileSync(file, "utf8")) as { version?: string };
      return version ?? "unknown";
    }
  }
  return "unknown";
}
