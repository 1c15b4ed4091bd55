// The gate under test: the built worker (`build/`) in workerd with the bindings that the contract names, and clients that
// reach it from different addresses. Settings and plans are whatever the test says; nothing here decides anything.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { WorkerdStructuredLog } from "miniflare";
import { served } from "./answers.ts";
import type { Fetch } from "./clients.ts";
import { hold, release } from "./lifetime.ts";
import { COMPATIBILITY_DATE, startRuntime } from "./runtime.ts";
import type { Worker } from "./runtime.ts";

export type Table = { [key: string]: any };

export interface GateOptions {
  /** `[vars.TOLLGATE]`, whole. */
  settings: Table;
  /** What stands under `plans:` in a plan file. */
  plans: Table;
  /** Secrets beside or instead of the usual two; `undefined` takes one away. */
  secrets?: Record<string, string | undefined>;
  /** What of the rig stands between the worker and its platform: see there. */
  platform?: "counting_platform.js" | "faulty_platform.js" | "moved_clock.js";
  /** A folder that outlives `stop` and `kill`. */
  persist?: string;
}

/** What can fail on command: see `faulty_platform.js`. */
export interface Faults {
  ledger?: "fails" | "hangs" | "lies";
  storage?: "fails" | "lies";
  /** By account, what becomes of the call that brings it a credit: it does not arrive; its answer does not; it fails at once; or
   * the first one arrives when this is taken back, others before it. */
  credits?: Record<string, "lost" | "unanswered" | "refused" | "late">;
}

/** An alarm of a payment's object: how it ended, what the object keeps then, and when it rings next. */
export interface Alarm {
  failed: boolean;
  kept: string;
  next: number | null;
}

interface Seen {
  /** How many calls that bring a credit met a fault. */
  credits: number;
  alarms: Alarm[];
}

export type Gate = Awaited<ReturnType<typeof startGate>>;

const root = fileURLToPath(new URL("../../../", import.meta.url));
const build = process.env["TOLLGATE_BUILD"] ?? `${root}build`;

/** The same keys for every start, as a deployment has them. */
const SECRETS = {
  RECEIPT_SIGNING_KEY: randomBytes(32).toString("hex"),
  SESSION_KEY: randomBytes(32).toString("hex"),
};

export async function startGate(options: GateOptions) {
  const logs: WorkerdStructuredLog[] = [];
  const log = (line: WorkerdStructuredLog) => {
    logs.push(line);
    if (process.env["TOLLGATE_LOGS"]) console.error(`[workerd ${line.level}] ${line.message}`);
  };
  const worker = await gateWorker(options);
  const start = async () => {
    const runtime = await startRuntime({ workers: [worker], log, ...(options.persist && { persist: options.persist }) });
    await migrate(await runtime.miniflare.getD1Database("LEDGER") as Database);
    return runtime;
  };
  let runtime = await start();
  let running = true;
  const gate = {
    logs,
    get url(): string {
      return runtime.url;
    },
    at: (path: string): string => `${runtime.url}${path}`,
    /** The worker's own socket. What stands before it at `url` takes the scheme from the client's X-Forwarded-Proto. */
    async direct(): Promise<string> {
      return (await runtime.miniflare.unsafeGetDirectURL("tollgate")).origin;
    },
    /** Somebody who calls from `ip`; without it, from an address that nobody has called from. */
    client(ip = freshAddress()): Fetch {
      return (input, init) => {
        const request = new Request(typeof input === "string" ? new URL(input, runtime.url) : input, {
          redirect: "manual",
          // No answer takes so long; without it a worker that hangs would hang the tests.
          signal: AbortSignal.timeout(30_000),
          ...init,
        });
        // Cloudflare sets this header; Miniflare leaves it alone when it is there.
        request.headers.set("CF-Connecting-IP", ip);
        return fetch(request);
      };
    },
    /** Rows of the ledger. */
    async ledger(sql: string, ...values: unknown[]): Promise<Table[]> {
      const database = await runtime.miniflare.getD1Database("LEDGER") as Database;
      return (await database.prepare(sql).bind(...values).all()).results;
    },
    /** Asks a payment's object, as the gate does. */
    async askPayment(id: string, call: Table): Promise<unknown> {
      const objects = await runtime.miniflare.getDurableObjectNamespace("PAYMENT") as unknown as Objects;
      const object = objects.get(objects.idFromName(id));
      const answer = await object.fetch("https://object/", { method: "POST", body: JSON.stringify(call) });
      return await answer.json();
    },
    /** How many rows D1 says that a statement wrote, indexes included. */
    async written(sql: string, ...values: unknown[]): Promise<number> {
      const database = await runtime.miniflare.getD1Database("LEDGER") as Database;
      return (await database.prepare(sql).bind(...values).all()).meta.rows_written;
    },
    /** What fails from now on, of a gate on `faulty_platform.js`. */
    async faults(wanted: Faults = {}): Promise<void> {
      await fetch(`${runtime.url}/__faults`, { method: "POST", body: JSON.stringify(wanted) });
    },
    /** What of a gate on `faulty_platform.js` was seen since it started. */
    async seen(): Promise<Seen> {
      return await (await fetch(`${runtime.url}/__faults`)).json() as Seen;
    },
    /** What the worker's clock shows from now on, of a gate on `moved_clock.js`: an instant that is not past. */
    async clock(to: number): Promise<void> {
      await served(await fetch(`${runtime.url}/__clock`, { method: "POST", body: String(to) }));
    },
    /** Runs what is run once a day, and waits for it. */
    async daily(): Promise<void> {
      const worker = await runtime.miniflare.getWorker() as unknown as { scheduled(event: { cron: string }): Promise<{ outcome: string }> };
      const { outcome } = await worker.scheduled({ cron: "17 3 * * *" });
      if (outcome !== "ok") throw new Error(`the daily run ended with ${outcome}`);
    },
    /** Puts something where receipts are kept, as a store that is late might still hold it. */
    async putReceipt(id: string, kept: Table): Promise<void> {
      const store = await runtime.miniflare.getKVNamespace("RECEIPTS") as unknown as Store;
      await store.put(id, JSON.stringify(kept));
    },
    /** All that the store of receipts holds. */
    async receipts(): Promise<(string | null)[]> {
      const store = await runtime.miniflare.getKVNamespace("RECEIPTS") as unknown as Store;
      const { keys } = await store.list();
      return await Promise.all(keys.map(({ name }) => store.get(name)));
    },
    /** Empties the store of receipts, as one is that has heard of nothing yet; how many it held. */
    async forgetReceipts(): Promise<number> {
      const store = await runtime.miniflare.getKVNamespace("RECEIPTS") as unknown as Store;
      const { keys } = await store.list();
      for (const { name } of keys) await store.delete(name);
      return keys.length;
    },
    /** As a deployment or an eviction ends it. */
    async stop(): Promise<void> {
      release(gate);
      if (running) await runtime.stop();
      running = false;
    },
    /** As a crash ends it. */
    async kill(): Promise<void> {
      release(gate);
      running = false;
      await runtime.kill();
    },
    /** Starts again, at another port, on the same folder if there is one. */
    async restart(): Promise<void> {
      if (running) await runtime.stop();
      runtime = await start();
      running = true;
      hold(gate);
    },
  };
  return hold(gate);
}

let addresses = 0;

/** From 198.18.0.0/15, which is set aside for tests (RFC 2544). */
export function freshAddress(): string {
  addresses += 1;
  return `198.${18 + (addresses >> 16)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** A module that stands before the built worker. */
const ofRig = async (name: string) => ({ type: "esm" as const, contents: await readFile(new URL(name, import.meta.url), "utf8") });

export async function gateWorker({ settings, plans, secrets = {}, platform }: Omit<GateOptions, "persist">): Promise<Worker> {
  if (!existsSync(`${build}/index.js`)) throw new Error("build/index.js is not there: run `make build` first");
  const text = Object.entries({ ...SECRETS, ...secrets }).filter((entry) => entry[1] !== undefined);
  return {
    // A socket of the worker's own, without what Miniflare puts before it.
    dev: { unsafeDirectSockets: [{}] },
    config: {
      name: "tollgate",
      compatibilityDate: COMPATIBILITY_DATE,
      manifest: {
        mainModule: platform ?? "index.js",
        modulesRoot: build,
        modules: {
          "index.js": { type: "esm", contents: await readFile(`${build}/index.js`, "utf8") },
          ...(platform && { [platform]: await ofRig(platform), "over.js": await ofRig("over.js") }),
          "index_bg.wasm": { type: "wasm", contents: await readFile(`${build}/index_bg.wasm`) },
        },
      },
      exports: {
        AccountObject: { type: "durable-object", storage: "sqlite" },
        PaymentObject: { type: "durable-object", storage: "sqlite" },
      },
      env: {
        TOLLGATE: { type: "json", value: settings },
        PLANS: { type: "json", value: plans },
        ACCOUNT: { type: "durable-object", worker: "tollgate", exportName: "AccountObject" },
        PAYMENT: { type: "durable-object", worker: "tollgate", exportName: "PaymentObject" },
        RECEIPTS: { type: "kv", id: "receipts" },
        LEDGER: { type: "d1", id: "ledger" },
        ...Object.fromEntries(text.map(([name, value]) => [name, { type: "text", value: value! }])),
      },
    },
  };
}

/** The statement with which the worker tells the ledger of usage, as it stands in the worker that is built. */
export function putUsage(): string {
  const text = readFileSync(`${build}/index_bg.wasm`, "latin1");
  const [found] = /INSERT INTO usage \(account,[^;\0]*?WHERE excluded\.revision >= usage\.revision/.exec(text) ?? [];
  if (found === undefined) throw new Error("the worker has no such statement");
  return found;
}

interface Store {
  get(key: string): Promise<string | null>;
  put(key: string, value: string): Promise<void>;
  list(): Promise<{ keys: { name: string }[] }>;
  delete(key: string): Promise<void>;
}

interface Objects {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(url: string, init: { method: string; body: string }): Promise<Response> };
}

interface Database {
  prepare(sql: string): Statement;
}

interface Statement {
  bind(...values: unknown[]): Statement;
  all(): Promise<{ results: Table[]; meta: { rows_written: number } }>;
  run(): Promise<unknown>;
}

/** What `wrangler d1 migrations apply` does: each file of `migrations/` once, in order, in the same bookkeeping table. */
async function migrate(database: Database): Promise<void> {
  await database.prepare(
    "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
  ).run();
  const applied = (await database.prepare("SELECT name FROM d1_migrations").all()).results.map((row) => row["name"]);
  const folder = `${process.env["TOLLGATE_BUILD"] ?? root}/migrations`;
  const files = existsSync(folder) ? (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort() : [];
  for (const name of files) {
    if (applied.includes(name)) continue;
    for (const statement of statements(await readFile(`${folder}/${name}`, "utf8"))) await database.prepare(statement).run();
    await database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name).run();
  }
}

/** The statements of a migration: our migrations keep `;` out of strings and have no triggers. */
function statements(sql: string): string[] {
  return sql.replaceAll(/--.*$/gm, "").split(";").map((statement) => statement.trim()).filter((statement) => statement !== "");
}
