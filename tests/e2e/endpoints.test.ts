// Endpoints with settings of their own: those that a request's body names, and where the requests of each one go.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { poor, problem, remaining, served } from "./rig/answers.ts";
import { payingV2 } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startOrigin } from "./rig/origin.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let other: Awaited<ReturnType<typeof startOrigin>>;
let gate: Gate;

const MIB = 1024 * 1024;

function bucket(capacity: number): Table {
  return { bucket: { capacity, refill_rate: 0.001 } };
}

before(async () => {
  world = await startWorld();
  other = await startOrigin();
  gate = await world.gate({
    settings: {
      endpoints: {
        "small": { match: "POST /echo", json: { model: "small*" } },
        "small-2": { match: "POST /echo", json: { model: "small-2" } },
        "streamed": { match: "POST /echo", json: { model: "small-2", stream: true } },
        "search": { match: "POST /echo", json: { method: "tools/call", "/params/name": "search" } },
        "upper": { match: "/status/*" },
      },
    },
    plans: {
      free: {
        endpoints: {
          "small": bucket(10),
          "small-2": bucket(20),
          "streamed": bucket(30),
          "search": { ...bucket(4), over_limit: "pay", price: "0.001" },
          "upper": bucket(50),
          "/echo": bucket(60),
          "/status/*": bucket(65),
          "*": bucket(70),
        },
      },
    },
  });
});

after(async () => await world.stop());

function post(body: unknown, path = "/echo"): [string, RequestInit] {
  return [path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }];
}

async function capacity(body: unknown, path?: string): Promise<number> {
  return remaining(await served(await gate.client()(...post(body, path)))) + 1;
}

test("the fields of a JSON body name the endpoint, and the most specific one wins", async () => {
  assert.equal(await capacity({ model: "small-1" }), 10);
  assert.equal(await capacity({ model: "small-2" }), 20);
  assert.equal(await capacity({ model: "small-2", stream: true }), 30);
  assert.equal(await capacity({ method: "tools/call", params: { name: "search" } }), 4);
});

test("a body that names no logical endpoint falls under method and path", async () => {
  for (const body of [{ model: "large" }, { method: "tools/call" }, "model=small", "", "[]", "{\"model\":\"small\""]) {
    assert.equal(await capacity(body), 60, JSON.stringify(body));
  }
  assert.equal(await capacity({ model: "small-1" }, "/elsewhere-2"), 70);
  assert.equal(remaining(await served(await gate.client()("/echo"))), 59);
});

test("an endpoint of one's own name needs no body to be told", async () => {
  assert.equal(remaining(await gate.client()("/status/204")), 49);
});

test("a request whose endpoint the plan does not list is refused by that endpoint's name", async () => {
  const strict = await world.gate({
    settings: { default_plan: "listed", endpoints: { "small": { match: "POST /echo", json: { model: "small" } }, "large": { match: "POST /echo", json: { model: "large" } } } },
    plans: { listed: { endpoints: { "small": bucket(10) } } },
  });
  await served(await strict.client()(...post({ model: "small" })));
  const body = await problem(await strict.client()(...post({ model: "large" })), 403, "no-access");
  assert.equal(body["detail"], "no access to endpoint: large");
  await strict.stop();
});

test("a body that was read is forwarded as it came", async () => {
  const text = "{ \"model\" : \"small-2\",\n\"text\": \"é\\u00e9\" }";
  const response = await gate.client()("/echo?x=1", { method: "POST", body: text, headers: { "Content-Type": "application/json" } });
  const { body, url, headers } = await (await served(response)).json() as Table;
  assert.equal(body, text);
  assert.equal(url, "/echo?x=1");
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["content-length"], String(Buffer.byteLength(text)));
});

test("a body without a length is read as well", async () => {
  const body = new Blob([JSON.stringify({ model: "small-2" })]).stream();
  const response = await gate.client()("/echo", { method: "POST", body, duplex: "half" } as RequestInit);
  assert.equal(remaining(await served(response)), 19);
  assert.equal((await response.json() as Table)["body"], "{\"model\":\"small-2\"}");
});

test("a body over 1 MiB is 413 where it must be read, says why, and streams elsewhere", async () => {
  const text = JSON.stringify({ model: "small-2", text: "x".repeat(MIB) });
  const said = await problem(await gate.client()(...post(text)), 413, "body-too-large");
  assert.match(said["detail"], /1048576 bytes.*POST \/echo.*which endpoint/);
  const chunked = { method: "POST", body: new Blob([text]).stream(), duplex: "half" } as RequestInit;
  await problem(await gate.client()("/echo", chunked), 413, "body-too-large");
  await served(await gate.client()(...post(text, "/elsewhere-2")));
  const fits = JSON.stringify({ model: "small-2", text: "x".repeat(MIB - 100) });
  assert.equal(await capacity(fits), 20);
});

test("a request that its body names can be paid for, and reaches the origin with that body", async () => {
  const client = gate.client();
  const call = { method: "tools/call", params: { name: "search" } };
  for (let count = 0; count < 4; count += 1) await served(await client(...post(call)));
  assert.equal((await client(...post(call))).status, 402);
  const [path, init] = post(call);
  const paid = await served(await payingV2(client, await world.chain.wallet())(gate.at(path), init));
  assert.equal((await paid.json() as Table)["body"], JSON.stringify(call));
  assert.equal(remaining(paid), 3);
});

test("an endpoint has its own origin, and what is added for one origin does not go to another", async () => {
  const own = await world.gate({
    settings: {
      origin_headers: { "X-Gate": "{secret:GATE_KEY}" },
      endpoints: {
        "small": { match: "POST /echo", json: { model: "small" }, origin: `${other.url}/echo/below`, origin_headers: { Authorization: "Bearer {secret:OTHER_KEY}" } },
        "/echo/here": { origin_headers: { "X-Here": "1" } },
      },
    },
    secrets: { GATE_KEY: "gate-key", OTHER_KEY: "other-key" },
    plans: { free: { endpoints: { "small": {}, "/echo/here": {}, "*": {} } } },
  });
  const there = await (await served(await own.client()(...post({ model: "small" })))).json() as Table;
  assert.equal(there["url"], "/echo/below/echo");
  assert.equal(there["headers"]["authorization"], "Bearer other-key");
  assert.equal(there["headers"]["x-gate"], undefined);
  const here = await (await served(await own.client()("/echo/here"))).json() as Table;
  assert.equal(here["headers"]["x-gate"], "gate-key");
  assert.equal(here["headers"]["x-here"], "1");
  const elsewhere = await (await served(await own.client()("/echo"))).json() as Table;
  assert.equal(elsewhere["headers"]["x-here"], undefined);
  await own.stop();
});

test("an endpoint has its own timeout", async () => {
  const hasty = await world.gate({
    settings: { endpoints: { "/slow": { timeout: "200ms" } } },
    plans: { free: { endpoints: { "/slow": {}, "*": {} } } },
  });
  await problem(await hasty.client()("/slow?ms=3000"), 504, "origin-timeout");
  await served(await hasty.client()("/slow/2?ms=600"));
  await hasty.stop();
});

test("settings of an endpoint that cannot be meant are told by name", async () => {
  const wrong = await world.gate({
    settings: { endpoints: { "a": { json: { model: "a" } }, "b": { match: "POST /b", units: { token: "/usage" } }, "c": { origin_headers: { A: "{secret:NONE}" } } } },
  });
  const { detail } = await problem(await wrong.client()("/cpu"), 500, "misconfigured");
  assert.match(detail, /TOLLGATE\.endpoints\.a\.match: is missing/);
  assert.match(detail, /TOLLGATE\.endpoints\.b\.units\.token: /);
  await wrong.stop();
  const secretless = await world.gate({ settings: { endpoints: { "c": { origin_headers: { A: "{secret:NONE}" } } } } });
  const said = await problem(await secretless.client()("/cpu"), 500, "misconfigured");
  assert.match(said["detail"], /TOLLGATE\.endpoints\.c\.origin_headers\.A: there is no secret `NONE`/);
  await secretless.stop();
});
