/** Strongly connected components of a graph, after Tarjan, without recursion. */

type Graph = ReadonlyMap<number, readonly { readonly to: number }[]>;

/** By node: the number of its component. Nodes of one component reach each other. */
export function strongComponents(graph: Graph): ReadonlyMap<number, number> {
  return new Components(graph).find();
}

/** A node that is being visited, and how many of its edges have been followed. */
interface Visit {
  readonly at: number;
  followed: number;
}

class Components {
  readonly #graph: Graph;
  readonly #found = new Map<number, number>();
  readonly #order = new Map<number, number>();
  /** The earliest node that each is known to reach. */
  readonly #lowest = new Map<number, number>();
  readonly #open: number[] = [];
  #count = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  find(): ReadonlyMap<number, number> {
    for (const root of this.#graph.keys()) if (!this.#order.has(root)) this.#visitFrom(root);
    return this.#found;
  }

  #visitFrom(root: number): void {
    const visits: Visit[] = [this.#enter(root)];
    for (let visit = visits.at(-1); visit !== undefined; visit = visits.at(-1)) {
      const edge = this.#graph.get(visit.at)?.[visit.followed++];
      if (edge === undefined) {
        visits.pop();
        this.#leave(visit.at, visits.at(-1)?.at);
      } else if (!this.#order.has(edge.to)) visits.push(this.#enter(edge.to));
      else if (!this.#found.has(edge.to)) this.#reaches(visit.at, this.#order.get(edge.to)!);
    }
  }

  #enter(at: number): Visit {
    const place = this.#order.size;
    this.#order.set(at, place);
    this.#lowest.set(at, place);
    this.#open.push(at);
    return { at, followed: 0 };
  }

  #leave(at: number, above: number | undefined): void {
    if (above !== undefined) this.#reaches(above, this.#lowest.get(at)!);
    if (this.#lowest.get(at) !== this.#order.get(at)) return;
    const component = this.#count++;
    let node: number;
    do {
      node = this.#open.pop()!;
      this.#found.set(node, component);
    } while (node !== at);
  }

  #reaches(at: number, place: number): void {
    this.#lowest.set(at, Math.min(this.#lowest.get(at)!, place));
  }
}
