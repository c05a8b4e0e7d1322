/** A client of HTTP/1.1 for tests that say what it is by the byte. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { server } from "./served.js";

export interface HttpPeer {
  readonly socket: Socket;
  readonly heard: () => string;
}

/** Sends all of it at once, and gathers what comes. */
export async function sent(bytes: string | Uint8Array): Promise<HttpPeer> {
  const [host, port] = server.address.split(":");
  const socket = connect({ host: host!, port: Number(port) });
  let heard = "";
  socket.on("data", (chunk) => (heard += chunk.toString()));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(bytes);
  return { socket, heard: () => heard };
}
