// A proxy before the real facilitator that fails on command: a test says what happens to the next calls of `/verify` and
// `/settle`; without an order a call is passed on. It records every call.
import type { IncomingMessage, ServerResponse } from "node:http";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export type Verb = "verify" | "settle";

export interface Call {
  verb: Verb;
  /** What the gate sent: `{x402Version, paymentPayload, paymentRequirements}`. */
  body: any;
  headers: IncomingMessage["headers"];
  response: ServerResponse;
  /** Hands the call to the real facilitator, which does its work whatever becomes of the answer. */
  forward(): Promise<{ status: number; body: string }>;
}

export type Fault = (call: Call) => void | Promise<void>;

export type FaultyFacilitator = Awaited<ReturnType<typeof startFaultyFacilitator>>;

export async function startFaultyFacilitator(realUrl: string) {
  const orders: Record<Verb, Fault[]> = { verify: [], settle: [] };
  const standing: Partial<Record<Verb, Fault>> = {};
  const calls: Record<Verb, Pick<Call, "body" | "headers">[]> = { verify: [], settle: [] };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await readBody(request);
    const verb = request.url?.slice(1);
    if (verb !== "verify" && verb !== "settle") return pass(response, await forward(request, sent, realUrl));
    const body = JSON.parse(sent.toString("utf8"));
    calls[verb].push({ body, headers: request.headers });
    const fault = orders[verb].shift() ?? standing[verb] ?? honest;
    await fault({ verb, body, headers: request.headers, response, forward: () => forward(request, sent, realUrl) });
  }

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  };
  let server = await serve(listener);
  let up = true;
  const { url, port } = server;
  const part = {
    url,
    calls,
    /** What happens to the next calls, one fault each. */
    next(verb: Verb, ...faults: Fault[]): void {
      orders[verb].push(...faults);
    },
    /** What happens to every call for which `next` has nothing. */
    always(verb: Verb, fault: Fault): void {
      standing[verb] = fault;
    },
    /** Forgets all orders, listens again, and counts from nothing. */
    async heal(): Promise<void> {
      for (const verb of ["verify", "settle"] as const) {
        orders[verb].length = 0;
        calls[verb].length = 0;
        delete standing[verb];
      }
      if (!up) {
        server = await serve(listener, port);
        up = true;
      }
    },
    /** Refuses connections until `heal`. */
    async down(): Promise<void> {
      up = false;
      await server.stop();
    },
    async stop(): Promise<void> {
      release(part);
      if (up) await server.stop();
    },
  };
  return hold(part);
}

async function forward(request: IncomingMessage, sent: Buffer, realUrl: string) {
  const answer = await fetch(`${realUrl}${request.url}`, {
    method: request.method ?? "GET",
    headers: { "content-type": "application/json" },
    ...(sent.length > 0 && { body: new Uint8Array(sent) }),
  });
  return { status: answer.status, body: await answer.text() };
}

function pass(response: ServerResponse, answer: { status: number; body: string }): void {
  response.writeHead(answer.status, { "content-type": "application/json" });
  response.end(answer.body);
}

export const honest: Fault = async (call) => pass(call.response, await call.forward());

/** Takes the call and never answers; the caller's own timeout has to end it. */
export const stall: Fault = () => {};

export const reset: Fault = (call) => {
  call.response.socket?.resetAndDestroy();
};

export function answer(status: number, body: unknown, headers: Record<string, string> = {}): Fault {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return (call) => {
    call.response.writeHead(status, { "content-type": "application/json", ...headers });
    call.response.end(text);
  };
}

export function html(status: number): Fault {
  return answer(status, "<!doctype html><title>Oh no</title><h1>Something went wrong</h1>", { "content-type": "text/html" });
}

export function redirect(location: string): Fault {
  return answer(308, "", { location });
}

/** The real work is done and the real answer is lost on its way. */
export const forwardThenCut: Fault = async (call) => {
  await call.forward();
  call.response.socket?.resetAndDestroy();
};

/** The real work is done, then `between` happens, then the real answer is sent to whoever still listens. */
export function forwardThen(between: () => void | Promise<void>): Fault {
  return async (call) => {
    const real = await call.forward();
    await between();
    pass(call.response, real);
  };
}

/** The real work is done and the answer is changed, or replaced, on its way. */
export function forwardThenAnswer(status: number, change: (real: any) => unknown): Fault {
  return async (call) => {
    const real = await call.forward();
    const body = change(JSON.parse(real.body));
    pass(call.response, { status, body: typeof body === "string" ? body : JSON.stringify(body) });
  };
}
