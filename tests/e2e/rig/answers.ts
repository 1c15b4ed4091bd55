// What tests look for in an answer of the gate: which problem it is, and what it says about limits. The names are those of
// the contract.
import assert from "node:assert/strict";
import type { Fetch } from "./clients.ts";
import type { Gate, Table } from "./gate.ts";

/** The problem types that x402 and MPP share; all others are pages of the gate's own. */
const SHARED = "https://paymentauth.org/problems/";

/** Asserts that an answer is this problem (RFC 9457) and returns its members. */
export async function problem(response: Response, status: number, type: string): Promise<Table> {
  const text = await response.text();
  assert.equal(response.status, status, text.slice(0, 500));
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  const body = JSON.parse(text);
  const expected = status === 402 || status === 410 ? `${SHARED}${type}` : `/_tollgate/problems/${type}`;
  // Whether the type of an own problem is relative or absolute is the gate's choice.
  assert.ok(String(body.type).endsWith(expected), `type ${body.type} is not ${expected}`);
  assert.equal(body.status, status);
  assert.equal(typeof body.title, "string");
  assert.equal(typeof body.detail, "string");
  assert.equal(body.request_id, response.headers.get("tollgate-request-id"));
  return body;
}

/** Asserts that a payment was refused, whatever of the list of reasons it is, and returns the body. */
export async function refusal(response: Response): Promise<Table> {
  const body = JSON.parse(await response.clone().text());
  assert.equal(response.status, 402, JSON.stringify(body));
  assert.ok(body.type.startsWith(SHARED), body.type);
  assert.notEqual(body.type, `${SHARED}payment-required`, "a refusal is not a first offer");
  assert.equal(typeof body.reason, "string");
  assert.ok(response.headers.has("payment-required"), "a refusal brings the offer again");
  assert.equal(response.headers.has("x-402-receipt"), false, "a refusal brings no receipt");
  return body;
}

/** Asserts 503 with a promise to come back to, for either of its reasons unless one is named. */
export async function unavailable(response: Response, type?: "facilitator-unavailable" | "payment-pending"): Promise<Table> {
  const text = await response.clone().text();
  assert.equal(response.status, 503, text.slice(0, 500));
  const body = await problem(response, 503, type ?? (text.includes("payment-pending") ? "payment-pending" : "facilitator-unavailable"));
  assert.ok(retryAfter(response) >= 1);
  assert.equal(response.headers.has("payment-required"), false, "nobody may be asked to pay twice");
  assert.equal(response.headers.has("x-402-receipt"), false);
  return body;
}

export function remaining(response: Response): number {
  return whole(response, "x-ratelimit-remaining");
}

export function retryAfter(response: Response): number {
  return whole(response, "retry-after");
}

/** A header that holds a whole number and nothing else. */
export function whole(response: Response, name: string): number {
  const value = response.headers.get(name);
  assert.match(value ?? "", /^\d+$/, `${name}: ${value}`);
  return Number(value);
}

export async function served(response: Response): Promise<Response> {
  if (response.status !== 200) assert.fail(`${response.status} instead of 200: ${(await response.text()).slice(0, 500)}`);
  return response;
}

/** Uses up the usual four tokens. */
export async function exhaust(client: Fetch, path = "/cpu", tokens = 4): Promise<void> {
  for (let left = tokens - 1; left >= 0; left -= 1) {
    assert.equal(remaining(await served(await client(path))), left);
  }
}

/** The tokens a client has, fractions included, without taking one. */
export async function tokens(client: Fetch, endpoint = "/cpu"): Promise<number> {
  const response = await served(await client(`/_tollgate/limits?endpoint=${encodeURIComponent(endpoint)}`));
  const { tokens } = await response.json() as Table;
  assert.equal(typeof tokens, "number");
  return tokens;
}

/** Asserts how many whole tokens a client has by spending them: that many requests are served, and the next one is not. */
export async function exactly(client: Fetch, count: number, path = "/cpu"): Promise<void> {
  for (let index = 0; index < count; index += 1) await served(await client(path));
  assert.equal((await client(path)).status, 402);
}

/** A client that has nothing left, and the 402 it got. */
export async function poor(gate: Gate, path = "/cpu"): Promise<{ client: Fetch; denied: Response }> {
  const client = gate.client();
  await exhaust(client, path);
  const denied = await client(path);
  assert.equal(denied.status, 402);
  return { client, denied };
}
