// A gate that limits and sells nothing, in front of an origin that can hold requests; the questions that a backend asks it;
// and what a test must know about windows, which are aligned to the epoch.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { served } from "./answers.ts";
import { startBusyOrigin } from "./busy_origin.ts";
import type { Fetch } from "./clients.ts";
import { sleep } from "./eventually.ts";
import { startGate } from "./gate.ts";
import type { Gate, GateOptions, Table } from "./gate.ts";
import { hold } from "./lifetime.ts";

export const ADMIN_TOKEN = "an-admin-token-for-tests";

export interface LimitWishes extends Partial<GateOptions> {
  /** The endpoints of the one plan, where `plans` does not say more. */
  endpoints?: Table;
}

export async function startLimits({ endpoints = {}, settings, secrets, ...rest }: LimitWishes) {
  const persist = await scratch();
  const origin = await startBusyOrigin();
  const gate = await startGate({
    plans: { free: { name: "Free", endpoints } },
    settings: { origin: origin.url, default_plan: "free", flush_interval: "1s", ...settings },
    secrets: { ADMIN_TOKEN, ...secrets },
    persist,
    ...rest,
  });
  // Compiling the worker takes longer than the fractions of a second that are measured in tests.
  await (await gate.client()("/_tollgate/health")).text();
  return { gate, origin, persist };
}

/** A folder that is gone when all is stopped. A disk takes a minute to make a thousand databases durable; memory, seconds. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tollgate-"));
  hold({ stop: async () => await rm(folder, { recursive: true, force: true }) });
  return folder;
}

export type Limits = Awaited<ReturnType<typeof startLimits>>;

/** A backend's POST to one of the gate's own endpoints. */
export async function post(gate: Gate, path: string, body: unknown, token: string | null = ADMIN_TOKEN): Promise<Response> {
  return await gate.client()(`/_tollgate${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token !== null && { Authorization: `Bearer ${token}` }) },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** A backend's question whether a request may pass, and the decision. */
export async function attempt(gate: Gate, body: Table): Promise<Table> {
  const decision = await (await served(await post(gate, "/attempt", body))).json() as Table;
  assert.equal(typeof decision["allowed"], "boolean", JSON.stringify(decision));
  return decision;
}

export async function end(gate: Gate, body: Table): Promise<void> {
  await served(await post(gate, "/end", body));
}

/** Where a client stands with the one limit of that unit (and of that size, if there are several) of an endpoint. */
export async function standing(client: Fetch, endpoint: string, unit: string, limit?: number): Promise<Table> {
  const { limits } = await (await served(await client(`/_tollgate/limits?endpoint=${encodeURIComponent(endpoint)}`))).json() as Table;
  const [found, ...others] = (limits as Table[]).filter((each) => each["unit"] === unit && (limit === undefined || each["limit"] === limit));
  assert.ok(found !== undefined && others.length === 0, `not one limit of unit ${unit}: ${JSON.stringify(limits)}`);
  return found;
}

/** How many requests were admitted; each other one must be this problem. */
export async function admitted(answers: Response[], otherwise: string): Promise<number> {
  let count = 0;
  for (const answer of answers) {
    const text = await answer.text();
    if (answer.status === 200) count += 1;
    else assert.ok(answer.status === 429 && text.includes(`/problems/${otherwise}"`), `${answer.status} ${text.slice(0, 300)}`);
  }
  return count;
}

/** The end of the current window of `ms`, with at least `room` milliseconds left in it: waits for the next one if need be. */
export async function windowEnd(ms: number, room: number): Promise<number> {
  const end = (Math.floor(Date.now() / ms) + 1) * ms;
  if (end - Date.now() >= room) return end;
  await until(end);
  return end + ms;
}

/** Waits until the clock, which is the worker's too, shows this instant. */
export async function until(instant: number): Promise<void> {
  while (Date.now() < instant) await sleep(instant - Date.now());
}

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
