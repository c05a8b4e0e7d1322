/**
 * Where diagnostics go. `level` follows pino's words. Fields are plain data; a message is a short
 * constant text, so that traces can be counted and searched.
 */
export type TraceLevel = "debug" | "info" | "warn" | "error";

export interface Tracer {
  trace(level: TraceLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const SILENT_TRACER: Tracer = { trace: () => undefined };
