/** Loads the printer of a format, and no other. */
import type { Format } from "./global-options.js";
import type { Printer, PrintSettings } from "./printer.js";
import type { Output } from "./terminal.js";

export async function printerFor(
  format: Format,
  output: Output,
  settings: PrintSettings,
): Promise<Printer> {
  switch (format) {
    case "simple":
      return new (await import("./printer-simple.js")).SimplePrinter(output, settings);
    case "json":
      return new (await import("./printer-json.js")).JsonPrinter(output, settings);
    case "fields":
      return new (await import("./printer-fields.js")).FieldsPrinter(output, settings);
    case "table":
      return new (await import("./printer-table.js")).TablePrinter(output, settings);
  }
}
