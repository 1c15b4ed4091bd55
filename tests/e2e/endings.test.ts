// How admitted requests end: what they used in the end is counted once, also when the client goes away; sockets hold their
// slot until they close. And where degraded requests go.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { problem, served } from "./rig/answers.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { freshAddress, startGate } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { COMPATIBILITY_DATE, startRuntime } from "./rig/runtime.ts";
import { serve } from "./rig/server.ts";
import type { Server } from "./rig/server.ts";
import { leavable } from "./rig/wire.ts";

let origin: Server;
let sockets: Awaited<ReturnType<typeof startRuntime>>;
let gate: Gate;
let closed = 0;
const seen: Table[] = [];

const TOKENS = { fixed_windows: [{ window: "86400s", limit: 1000, unit_type: "token" }] };
const READ = { units: { token: "json:/usage/total_tokens" } };

before(async () => {
  origin = await serve((request, response) => {
    const url = new URL(request.url!, "http://origin");
    seen.push({ url: request.url, degraded: request.headers["tollgate-degraded"], added: request.headers["x-added"] });
    response.once("close", () => closed += 1);
    void answer(url, response);
  });
  sockets = await startRuntime({ workers: [socketOrigin()] });
  gate = await startGate({
    settings: {
      origin: origin.url,
      origin_headers: { "X-Added": "1" },
      default_plan: "free",
      endpoints: {
        "/json": READ, "/json/gzip": READ, "/json/large": READ, "/events": READ, "/events/hang": READ,
        "/socket": { origin: sockets.url }, "/socket/free": { origin: sockets.url },
      },
    },
    plans: {
      free: {
        endpoints: {
          "/json": TOKENS, "/json/gzip": TOKENS, "/json/large": TOKENS, "/events": TOKENS, "/events/hang": { ...TOKENS, max_concurrent: 1 },
          "/field": TOKENS,
          "/degrade": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "degrade", degrade_to: `http://localhost:${origin.port}/other` },
          "/socket": { max_concurrent: 1 },
          "/socket/free": {},
          "*": {},
        },
      },
    },
  });
});

after(async () => {
  await stopAll();
  await sockets.stop();
  await origin.stop();
});

async function answer(url: URL, response: ServerResponse): Promise<void> {
  const usage = { usage: { total_tokens: Number(url.searchParams.get("tokens") ?? 0) } };
  switch (url.pathname) {
    case "/json":
      return json(response, usage);
    case "/json/gzip":
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
      response.end(gzipSync(JSON.stringify(usage)));
      return;
    case "/json/large":
      return json(response, { ...usage, text: "x".repeat(2_000_000) });
    case "/field":
      response.setHeader("Tollgate-Units", "token=123, image=1");
      return json(response, {});
    case "/events":
    case "/events/hang":
      return await events(response, usage, url.pathname.endsWith("hang"));
    default:
      return json(response, { path: url.pathname + url.search });
  }
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { ...response.getHeaders(), "content-type": "application/json" } as never);
  response.end(JSON.stringify(body));
}

async function events(response: ServerResponse, usage: Table, hang: boolean): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("data: {\"usage\":null}\n\n");
  await sleep(300);
  response.write(`data: ${JSON.stringify(usage)}\n\n`);
  if (hang) return;
  response.end("data: [DONE]\n\n");
}

function socketOrigin() {
  const script = `export default { fetch(request) {
    if (request.headers.get("Upgrade") !== "websocket") return new Response("no upgrade", { status: 426 });
    const { 0: client, 1: server } = new WebSocketPair();
    server.binaryType = "arraybuffer";
    server.accept();
    server.addEventListener("message", ({ data }) => data === "close" ? server.close(4001, "as asked") : server.send(data));
    return new Response(null, { status: 101, webSocket: client, headers: { "Tollgate-Degraded": "forged" } });
  } }`;
  return {
    config: {
      name: "sockets",
      compatibilityDate: COMPATIBILITY_DATE,
      manifest: { mainModule: "index.js", modulesRoot: "/", modules: { "index.js": { type: "esm" as const, contents: script } } },
    },
  };
}

/** What is left of the endpoint's one limit. */
async function left(client: typeof fetch, endpoint: string): Promise<number> {
  const { limits } = await (await served(await client(`/_tollgate/limits?endpoint=${endpoint}`))).json() as Table;
  return limits[0].remaining;
}

async function leaves(client: typeof fetch, endpoint: string, tokens: number): Promise<void> {
  const look = async () => await left(client, endpoint) === tokens ? true : undefined;
  await eventually(`${endpoint} has ${tokens} left`, look, 2000).catch(async (error: Error) => {
    throw new Error(`${error.message}; it has ${await left(client, endpoint)}`);
  });
  // Nothing more is counted afterwards.
  await sleep(200);
  assert.equal(await left(client, endpoint), tokens);
}

for (const path of ["/json", "/json/gzip", "/events"]) {
  test(`${path}: the units that the answer tells are deducted, once`, async () => {
    const client = gate.client();
    const text = await (await served(await client(`${path}?tokens=123`))).text();
    assert.match(text, /"total_tokens":123/);
    await leaves(client, path, 877);
  });
}

test("the units that the origin's header tells are deducted, and the client does not see it", async () => {
  const client = gate.client();
  const response = await served(await client("/field"));
  assert.equal(response.headers.has("tollgate-units"), false);
  await response.text();
  await leaves(client, "/field", 877);
});

test("units are deducted past the limit, and the next request is refused", async () => {
  const client = gate.client();
  await (await served(await client("/json?tokens=1500"))).text();
  await leaves(client, "/json", 0);
  const body = await problem(await client("/json?tokens=1"), 429, "rate-limited");
  assert.equal(body["unit"], "token");
});

test("a document too large to be read passes whole and tells no units", async () => {
  const client = gate.client();
  const text = await (await served(await client("/json/large?tokens=123"))).text();
  assert.ok(text.length > 2_000_000);
  await leaves(client, "/json/large", 1000);
});

test("events are not held back for being read", async () => {
  const response = await served(await gate.client()("/events?tokens=1"));
  const reader = response.body!.getReader();
  const started = performance.now();
  await reader.read();
  const first = performance.now() - started;
  while (!(await reader.read()).done) continue;
  assert.ok(performance.now() - started - first >= 200, "all came together");
});

test("a client that goes away mid-stream has used what was told until then, and its slot is free", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const leaving = leavable(gate, ip, "/events/hang?tokens=45");
  await eventually("the units are told", async () => leaving.text().includes(`"total_tokens":45`) || undefined);
  await problem(await client("/events/hang"), 429, "too-many-concurrent");
  const before = closed;
  leaving.leave();
  await leaves(client, "/events/hang", 955);
  await eventually("the origin is told to stop", async () => closed > before || undefined, 3000);
  const next = leavable(gate, ip, "/events/hang?tokens=1");
  await eventually("the slot is free", async () => next.text().includes("200 OK") || undefined);
  next.leave();
});

test("a degraded request can go to another origin, which does not get what is added for the first", async () => {
  const client = gate.client();
  for (const expected of [
    { url: "/degrade?x=1", degraded: undefined, added: "1" },
    { url: "/other/degrade?x=1", degraded: "true", added: undefined },
  ]) {
    const response = await served(await client("/degrade?x=1"));
    assert.equal(response.headers.get("tollgate-degraded") ?? undefined, expected.degraded);
    assert.deepEqual(seen.at(-1), expected);
  }
});

/** A socket that is open, and what comes over it. */
async function open(path: string) {
  const socket = new WebSocket(gate.at(path).replace("http", "ws"));
  socket.binaryType = "arraybuffer";
  const messages: unknown[] = [];
  socket.addEventListener("message", ({ data }) => messages.push(data));
  const closing = new Promise<{ code: number; reason: string }>((resolve) => socket.addEventListener("close", resolve as never));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error(`${path} did not open`)));
  });
  return { socket, messages, closing };
}

for (const path of ["/socket", "/socket/free"]) {
  test(`${path}: messages pass both ways as they are, and so does the origin's close`, async () => {
    const { socket, messages, closing } = await open(path);
    socket.send("hello é");
    socket.send(new Uint8Array([1, 2, 255]));
    await eventually("both came back", async () => messages.length === 2 ? true : undefined);
    assert.equal(messages[0], "hello é");
    assert.deepEqual([...new Uint8Array(messages[1] as ArrayBuffer)], [1, 2, 255]);
    socket.send("close");
    const { code, reason } = await closing;
    assert.deepEqual([code, reason], [4001, "as asked"]);
  });
}

test("a socket holds its slot until it closes", async () => {
  const opened = async () => await open("/socket").catch(() => undefined);
  const first = await eventually("the slot of the test before is free", opened, 3000);
  await assert.rejects(open("/socket"), /did not open/);
  first.socket.close(1000, "done");
  const second = await eventually("the slot is free", opened, 3000);
  second.socket.close();
});
