// The owner's server, which is told of what happens by webhook: it checks every signature, records what it takes, and fails on
// command.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Table } from "./gate.ts";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export const WEBHOOK_SECRET = "whsec_for_tests";

/** What happens to the next notice in place of 204. */
export type Refusal = (response: ServerResponse) => void;

export const status = (code: number, headers: Record<string, string> = {}): Refusal => (response) => void response.writeHead(code, headers).end();
export const hangUp: Refusal = (response) => void response.destroy();

export type OwnerServer = Awaited<ReturnType<typeof startOwnerServer>>;

export async function startOwnerServer() {
  const refusals: Refusal[] = [];
  /** Every attempt, in order. */
  const attempts: Table[] = [];
  /** The first attempt of each notice that was taken. */
  const taken: Table[] = [];

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await readBody(request)).toString("utf8");
    const notice = { ...JSON.parse(body), path: request.url, method: request.method, at: Date.now() } as Table;
    notice["signature_is_good"] = isSigned(body, String(request.headers["tollgate-signature"]));
    attempts.push(notice);
    const refusal = refusals.shift();
    if (refusal !== undefined) return refusal(response);
    if (!taken.some(({ id }) => id === notice["id"])) taken.push(notice);
    response.writeHead(204).end();
  }

  const server = await serve((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  const part = {
    url: server.url,
    attempts,
    taken,
    refuse(...next: Refusal[]): void {
      refusals.push(...next);
    },
    /** What was told of an account, in order. */
    of(account: string): Table[] {
      return taken.filter((notice) => notice["account"] === account);
    },
    async stop(): Promise<void> {
      release(part);
      await server.stop();
    },
  };
  return hold(part);
}

function isSigned(body: string, header: string): boolean {
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  assert.ok(t !== undefined && v1 !== undefined, header);
  assert.ok(Math.abs(Number(t) - Date.now() / 1000) < 60, header);
  return createHmac("sha256", WEBHOOK_SECRET).update(`${t}.${body}`).digest("hex") === v1;
}
