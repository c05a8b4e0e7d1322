/**
 * The requests of one HTTP/1.1 connection, one after the other: who sends the next before the answer
 * has come (pipelining) would otherwise have all of them served at once, as many as fit into what he
 * sends. Answers go out in order anyway. Where many wait, nothing more is read.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export type ServeRequest = (request: IncomingMessage, response: ServerResponse) => void;

const WAITING_MAX = 16;

export class RequestLine {
  readonly #socket: Socket;
  readonly #serve: ServeRequest;
  readonly #waiting: (readonly [IncomingMessage, ServerResponse])[] = [];
  #isServing = false;
  #isPaused = false;

  constructor(socket: Socket, serve: ServeRequest) {
    this.#socket = socket;
    this.#serve = serve;
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    this.#waiting.push([request, response]);
    this.#next();
    if (this.#isPaused || this.#waiting.length < WAITING_MAX) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #next(): void {
    const next = this.#isServing ? undefined : this.#waiting.shift();
    if (next === undefined || this.#socket.destroyed) return;
    const [request, response] = next;
    this.#isServing = true;
    response.once("close", () => {
      this.#isServing = false;
      this.#goOn();
    });
    this.#serve(request, response);
  }

  #goOn(): void {
    this.#next();
    // The last one may have a body that is still on its way.
    if (!this.#isPaused || this.#waiting.length > 0) return;
    this.#isPaused = false;
    this.#socket.resume();
  }
}
