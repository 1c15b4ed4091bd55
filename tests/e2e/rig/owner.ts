// The owner of a gate: asks its admin API, and makes clients that bring a key.
import assert from "node:assert/strict";
import type { Fetch } from "./clients.ts";
import { ADMIN_TOKEN } from "./limits.ts";
import type { Gate, Table } from "./gate.ts";

export interface Wishes {
  body?: unknown;
  headers?: Record<string, string>;
  token?: string | null;
  client?: Fetch;
}

/** A request to the admin API, from an address of its own unless a client is named. */
export async function order(gate: Gate, method: string, path: string, wishes: Wishes = {}): Promise<Response> {
  const { body, headers = {}, token = ADMIN_TOKEN, client = gate.client() } = wishes;
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return await client(`/_tollgate/admin${path}`, {
    method,
    headers: {
      ...(token !== null && { Authorization: `Bearer ${token}` }),
      ...(text !== undefined && { "Content-Type": "application/json" }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
  });
}

/** The same, where it must succeed; what it answers. */
export async function ordered(gate: Gate, method: string, path: string, body?: unknown, status = 200): Promise<Table> {
  const response = await order(gate, method, path, { body });
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text}`);
  return text === "" ? {} : JSON.parse(text) as Table;
}

/** A new key, and a client that brings it, from any address. */
export async function issue(gate: Gate, account: string, more: Table = {}): Promise<{ id: string; key: string; client: Fetch }> {
  const { id, key } = await ordered(gate, "POST", "/keys", { account, label: "test", ...more }, 201);
  return { id, key, client: bearing(gate.client(), key) };
}

/** A client that brings a key. */
export function bearing(client: Fetch, key: string): Fetch {
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("Authorization", `Bearer ${key}`);
    return await client(input, { ...init, headers });
  };
}
