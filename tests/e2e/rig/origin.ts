// The API behind the gate: what an owner would put there, and what a test needs to see what the gate sent on. It keeps
// every request, and knows nothing of limits or payments.
import { cpus } from "node:os";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export interface Seen {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

export type Origin = Awaited<ReturnType<typeof startOrigin>>;

export async function startOrigin() {
  const seen: Seen[] = [];
  const cpu = cpuMeter();
  const server = await serve((request, response) => {
    seen.push({ method: request.method!, url: request.url!, headers: request.headers });
    answer(request, response, cpu.read).catch((error: unknown) => response.destroy(error as Error));
  });
  const origin = {
    url: server.url,
    seen,
    /** Refuses connections from now on. */
    down: () => server.stop(),
    async stop(): Promise<void> {
      release(origin);
      cpu.stop();
      await server.stop();
    },
  };
  return hold(origin);
}

async function answer(request: IncomingMessage, response: ServerResponse, cpu: () => unknown): Promise<void> {
  const url = new URL(request.url!, "http://origin");
  const [, first, second] = url.pathname.split("/");
  switch (first) {
    case "cpu":
      return json(response, 200, cpu());
    case "echo":
      return json(response, 200, await echo(request));
    case "duplex":
      return duplex(request, response);
    case "stream":
      return stream(response, url);
    case "page":
      return page(response, url);
    case "slow":
      return slow(request, response, Number(url.searchParams.get("ms")));
    case "status":
      return json(response, Number(second), { status: Number(second) });
    case "redirect":
      response.writeHead(302, { location: "/elsewhere" });
      response.end();
      return;
    case "forged":
      return forged(response);
    case "public":
      response.setHeader("cache-control", "public, s-maxage=600");
      for (const name of ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"]) response.setHeader(name, "max-age=600");
      response.setHeader("x-accel-expires", "600");
      return json(response, 200, {});
    case "big":
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.end(Buffer.alloc(Number(url.searchParams.get("bytes") ?? 2 * 1024 * 1024), "x"));
      return;
    default:
      return json(response, 200, { path: request.url });
  }
}

async function echo(request: IncomingMessage) {
  const body = (await readBody(request)).toString("utf8");
  return { method: request.method, url: request.url, headers: request.headers, body };
}

/** Sends back each piece of the body as it arrives, so that a test sees both directions flow before either has ended. */
async function duplex(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(200, { "content-type": "application/octet-stream" });
  response.flushHeaders();
  for await (const chunk of request) response.write(chunk);
  response.end();
}

/** Server-sent events, the next one only after the reader could have seen the one before it. */
async function stream(response: ServerResponse, url: URL): Promise<void> {
  const count = Number(url.searchParams.get("count") ?? 3);
  const every = Number(url.searchParams.get("every") ?? 150);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (let index = 0; index < count; index += 1) {
    response.write(`data: {"event":${index}}\n\n`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  response.end();
}

/** A document for people, with a style and a script of its own. */
function page(response: ServerResponse, url: URL): void {
  const name = url.pathname.split("/").pop();
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>${name}</title><style>h1 { color: green }</style><h1 onclick="alert(1)">The page ${name}</h1><script>document.title += "!"</script>`);
}

function slow(request: IncomingMessage, response: ServerResponse, ms: number): void {
  const timer = setTimeout(() => json(response, 200, { slept_ms: ms }), ms);
  request.socket.once("close", () => clearTimeout(timer));
}

/** An origin that pretends to speak for the gate, and sends what belongs to one connection only. */
function forged(response: ServerResponse): void {
  response.writeHead(200, {
    "content-type": "application/json",
    "payment-response": "forged",
    "x-payment-response": "forged",
    "payment-required": "forged",
    "payment-receipt": "forged",
    "x-402-receipt": "forged",
    "tollgate-session": "forged",
    "tollgate-degraded": "true",
    "settlement-overrides": "{\"amount\":\"0\"}",
    "keep-alive": "timeout=99",
    "x-origin": "kept",
  });
  response.end("{}");
}

/** How busy all cores together were during the last half second, in percent. */
function cpuMeter(): { read(): { cpu_percent: number; cores: number }; stop(): void } {
  let last = cpuTimes();
  let percent = 0;
  const timer = setInterval(() => {
    const now = cpuTimes();
    const total = now.total - last.total;
    if (total > 0) percent = Math.round((1 - (now.idle - last.idle) / total) * 1000) / 10;
    last = now;
  }, 500);
  timer.unref();
  return { read: () => ({ cpu_percent: percent, cores: cpus().length }), stop: () => clearInterval(timer) };
}

function cpuTimes(): { idle: number; total: number } {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return { idle, total };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
