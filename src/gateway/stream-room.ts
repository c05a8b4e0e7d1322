/** Whether a stream of Node's takes more, and when it does. */
export interface NodeStream {
  readonly writableNeedDrain: boolean;
  readonly destroyed: boolean;
  on(event: "drain" | "close", run: () => void): unknown;
  off(event: "drain" | "close", run: () => void): unknown;
}

export function hasRoom(stream: NodeStream): boolean {
  return !stream.writableNeedDrain || stream.destroyed;
}

/** Resolves when there is room, or when all is over. */
export function roomIn(stream: NodeStream): Promise<void> {
  if (hasRoom(stream)) return Promise.resolve();
  return new Promise((resolve) => {
    const go = (): void => {
      stream.off("drain", go);
      stream.off("close", go);
      resolve();
    };
    stream.on("drain", go);
    stream.on("close", go);
  });
}
