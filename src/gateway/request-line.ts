/**
 * The requests of one HTTP/1.1 connection, one after the other: who sends the next before the
 * answer has come (pipelining) would otherwise have all of them served at once, as many as fit into
 * what he sends. Answers go out in order anyway. Who sends far too many ahead is cut off: the
 * server reads on for each body that is wanted, so that nothing else would bound them.
 */

/** What there is to do with the connection here. */
export interface LineSocket {
  readonly destroyed: boolean;
  destroy(): unknown;
}

interface Closable {
  /** Once the answer is out, or nobody is there to hear it. */
  once(event: "close", run: () => void): unknown;
}

export const REQUESTS_AHEAD_MAX = 1000;

export class RequestLine<Request, Response extends Closable> {
  readonly #socket: LineSocket;
  readonly #serve: (request: Request, response: Response) => void;
  #waiting: (readonly [Request, Response])[] = [];
  #isServing = false;

  constructor(socket: LineSocket, serve: (request: Request, response: Response) => void) {
    this.#socket = socket;
    this.#serve = serve;
  }

  add(request: Request, response: Response): void {
    if (this.#waiting.length >= REQUESTS_AHEAD_MAX) this.#socket.destroy();
    if (this.#socket.destroyed) {
      this.#waiting = [];
      return;
    }
    this.#waiting.push([request, response]);
    this.#next();
  }

  /** Whether a request of it is not answered yet. */
  get isBusy(): boolean {
    return this.#isServing || this.#waiting.length > 0;
  }

  #next(): void {
    const next = this.#isServing ? undefined : this.#waiting.shift();
    if (next === undefined || this.#socket.destroyed) return;
    const [request, response] = next;
    this.#isServing = true;
    response.once("close", () => {
      this.#isServing = false;
      this.#next();
    });
    this.#serve(request, response);
  }
}
