// An API whose answers the test can hold back: it shows how many requests are with it at once, when each came, and what it
// brought. What it does with a request is in the request's query, which the gate passes on.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { eventually } from "./eventually.ts";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export interface Arrival {
  at: number;
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

export type BusyOrigin = Awaited<ReturnType<typeof startBusyOrigin>>;

export async function startBusyOrigin() {
  const seen: Arrival[] = [];
  const held = new Set<ServerResponse>();
  const open = new Map<ServerResponse, string>();
  const most = new Map<string, number>();
  // A request counts until the last byte is handed over: what the gate can know, this must know before.
  const finish = (response: ServerResponse, body: string) => {
    open.delete(response);
    held.delete(response);
    response.end(body);
  };
  const server = await serve((request, response) => {
    const arrival = arrivalOf(request);
    seen.push(arrival);
    open.set(response, arrival.path);
    const together = [...open.values()].filter((path) => path === arrival.path).length;
    most.set(arrival.path, Math.max(most.get(arrival.path) ?? 0, together));
    response.once("close", () => {
      open.delete(response);
      held.delete(response);
    });
    answer(arrival, request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async function answer({ query, ...arrival }: Arrival, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (query.has("fail")) return void request.socket.destroy();
    if (query.has("ms")) await sleepUnlessClosed(Number(query.get("ms")), response);
    const units = query.get("units");
    response.writeHead(Number(query.get("status") ?? 200), {
      // Miniflare compresses JSON, and then holds back what is written first.
      "content-type": query.has("stream") || query.has("cut") ? "text/event-stream" : "application/json",
      ...(units && { "tollgate-units": units }),
    });
    if (query.has("stream") || query.has("cut")) response.write("{");
    if (query.has("stream")) return keep(response, Number(query.get("stream")));
    // What was written is on its way when the connection breaks.
    if (query.has("cut")) return void setTimeout(() => request.socket.destroy(), 50);
    const body = (await readBody(request)).toString("utf8");
    finish(response, JSON.stringify({ ...arrival, body }));
  }

  /** Holds an answer that has begun, silently or with something to say each so many milliseconds. */
  function keep(response: ServerResponse, every: number): void {
    held.add(response);
    if (every === 0) return;
    const timer = setInterval(() => held.has(response) ? response.write(" ") : clearInterval(timer), every);
  }

  const origin = {
    url: server.url,
    seen,
    /** How many requests are with it now. */
    get open(): number {
      return open.size;
    },
    /** The most requests for this path that were with it at once. */
    most: (path: string): number => most.get(path) ?? 0,
    /** Waits until so many requests are held. */
    async holds(count: number): Promise<void> {
      await eventually(`the origin holds ${count} requests`, async () => held.size === count ? true : undefined);
    },
    /** Answers held requests, the oldest first. */
    answer(count = held.size): void {
      for (const response of [...held].slice(0, count)) finish(response, "}");
    },
    /** The requests for this path so far. */
    at: (path: string): Arrival[] => seen.filter((arrival) => arrival.path === path),
    async stop(): Promise<void> {
      release(origin);
      await server.stop();
    },
  };
  return hold(origin);
}

async function sleepUnlessClosed(ms: number, response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    response.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function arrivalOf(request: IncomingMessage): Arrival {
  const { pathname, searchParams } = new URL(request.url!, "http://origin");
  return { at: Date.now(), method: request.method!, path: pathname, query: searchParams, headers: request.headers };
}
