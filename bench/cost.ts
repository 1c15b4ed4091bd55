// `make bench-cost`: what Cloudflare would charge for, counted in workerd with counters around the bindings: the numbers that README.md
// has under "What it costs". Gates run beside each other for two minutes, and for two more in which what is left is written.
import { freshAddress, startGate } from "../tests/e2e/rig/gate.ts";
import type { Gate, Table } from "../tests/e2e/rig/gate.ts";
import { payingV2 } from "../tests/e2e/rig/clients.ts";
import type { Fetch } from "../tests/e2e/rig/clients.ts";
import { sleep } from "../tests/e2e/rig/eventually.ts";
import { stopAll } from "../tests/e2e/rig/lifetime.ts";
import { startWorld } from "../tests/e2e/rig/world.ts";
import type { World } from "../tests/e2e/rig/world.ts";

/** How long a client keeps on, and how long all is left alone afterwards: two flushes, and an idle object's end. */
const STEADY_MS = 120_000;
const REST_MS = 130_000;
/** Requests a second of a steady client. */
const RATE = 8;
const VISITORS = 100;
const PAYMENTS = 20;

interface Counts {
  workerRequests: number;
  objectRequests: number;
  objectRows: number;
  d1Rows: number;
  kvWrites: number;
}

interface Row extends Counts {
  name: string;
  of: number;
}

/** A gate with the default `flush_interval`. */
async function gate(world: World, endpoint: Table): Promise<Gate> {
  return await startGate({
    settings: world.settings({ settings: { flush_interval: undefined } }),
    plans: { free: { endpoints: { "*": endpoint } } },
    platform: "counting_platform.js",
  });
}

async function counts(gate: Gate, method = "GET"): Promise<Counts> {
  return await (await fetch(gate.at("/__counts"), { method })).json() as Counts;
}

async function call(gate: Gate, client: Fetch): Promise<void> {
  const answer = await client(gate.at("/echo"));
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`${answer.status} instead of 200`);
}

/** One client at a steady rate, after so many requests at once. */
async function steady(world: World, name: string, endpoint: Table, before = 0): Promise<Row> {
  const own = await gate(world, endpoint);
  const client = own.client();
  for (let nth = 0; nth < before; nth += 1) await call(own, client);
  await counts(own, "DELETE");
  const began = Date.now();
  let of = 0;
  for (; Date.now() - began < STEADY_MS; of += 1) {
    await call(own, client);
    await sleep(Math.max(0, began + (of + 1) * 1000 / RATE - Date.now()));
  }
  await sleep(REST_MS);
  return { name, of, ...await counts(own) };
}

async function visitors(world: World): Promise<Row> {
  const own = await gate(world, { bucket: { capacity: 60, refill_rate: 10 } });
  for (let nth = 0; nth < VISITORS; nth += 1) await call(own, own.client());
  await sleep(REST_MS);
  return { name: "visitors with one request each", of: VISITORS, ...await counts(own) };
}

/** Each by a client of its own, whose free token was used, and told of, before. */
async function payments(world: World): Promise<Row> {
  const own = await gate(world, { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.001" });
  const clients = Array.from({ length: PAYMENTS }, () => own.client(freshAddress()));
  for (const client of clients) await call(own, client);
  await sleep(REST_MS / 2);
  await counts(own, "DELETE");
  for (const client of clients) await call(own, payingV2(client, await world.chain.wallet()));
  await sleep(REST_MS);
  return { name: "payments (the 402, and the request paid)", of: PAYMENTS, ...await counts(own) };
}

function show({ name, of, ...row }: Row): void {
  const each = (n: number) => (n / of).toFixed(4).replace(/0+$/, "").replace(/\.$/, "");
  const dollars = row.workerRequests * 0.3 + row.objectRequests * 0.15 + row.objectRows + row.d1Rows + row.kvWrites * 5;
  console.log(`${name}: ${of}, each ${Object.entries(row).map(([what, n]) => `${what} ${each(n)}`).join(", ")}; $${(dollars / of).toFixed(2)} a million`);
}

const world = await startWorld();
try {
  const near = { bucket: { capacity: 60, refill_rate: 10 } };
  const rows = await Promise.all([
    steady(world, "requests of a steady client", near),
    steady(world, "the same, its bucket never near full", { bucket: { capacity: 1000, refill_rate: RATE } }, 400),
    steady(world, "the same, with max_concurrent", { ...near, max_concurrent: 4 }),
    visitors(world),
    payments(world),
  ]);
  rows.forEach(show);
} finally {
  await stopAll();
}
