// What is compared: workers in workerd before the same origin, from one that only passes requests on to the gate itself.
import { startGate } from "../tests/e2e/rig/gate.ts";
import { COMPATIBILITY_DATE, startRuntime } from "../tests/e2e/rig/runtime.ts";
import type { Worker } from "../tests/e2e/rig/runtime.ts";
import { hold } from "../tests/e2e/rig/lifetime.ts";

export interface Subject {
  name: string;
  url: string;
  headers: (index: number) => Record<string, string>;
}

const ONE_CLIENT = () => ({ "CF-Connecting-IP": "198.51.100.7" });

/** 1,000 addresses in turn, from 198.18.0.0/15 (RFC 2544). */
const THOUSAND_CLIENTS = (index: number) => ({ "CF-Connecting-IP": `198.18.${(index % 1000) >> 8}.${index % 1000 & 255}` });

export async function startSubjects(originUrl: string): Promise<Subject[]> {
  const bare = hold(await startRuntime({ workers: [passThrough(originUrl, false)] }));
  const object = hold(await startRuntime({ workers: [passThrough(originUrl, true)] }));
  // A gate each: what one subject leaves to be flushed is not the other's burden.
  const [one, many] = [await gate(originUrl), await gate(originUrl)];
  return [
    { name: "(a) bare pass-through worker", url: bare.url, headers: ONE_CLIENT },
    { name: "(b) the same, with one idle object call", url: object.url, headers: ONE_CLIENT },
    { name: "(c) Tollgate, one client", url: one.url, headers: ONE_CLIENT },
    { name: "(d) Tollgate, 1,000 clients", url: many.url, headers: THOUSAND_CLIENTS },
  ];
}

/** So much that no request is ever over the limit. */
const PLANS = {
  free: {
    name: "Free",
    endpoints: {
      "*": { bucket: { capacity: 100_000_000, refill_rate: 1_000_000 }, over_limit: "pay", price: "0.001" },
    },
  },
};

async function gate(originUrl: string) {
  return await startGate({ settings: settings(originUrl), plans: PLANS });
}

function settings(origin: string) {
  return {
    origin,
    default_plan: "free",
    payment: {
      pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
      network: "base-sepolia",
      asset: "USDC",
      // Never called: nothing is paid here.
      facilitators: ["http://127.0.0.1:9"],
    },
  };
}

function passThrough(origin: string, withObject: boolean): Worker {
  return {
    config: {
      name: "bare",
      compatibilityDate: COMPATIBILITY_DATE,
      manifest: {
        mainModule: "index.js",
        modulesRoot: "/",
        modules: { "index.js": { type: "esm", contents: withObject ? WITH_OBJECT : BARE } },
      },
      ...(withObject && { exports: { IdleObject: { type: "durable-object", storage: "sqlite" } as const } }),
      env: {
        ORIGIN_URL: { type: "text", value: origin },
        ...(withObject && { IDLE: { type: "durable-object", worker: "bare", exportName: "IdleObject" } as const }),
      },
    },
  };
}

const BARE = `
export default {
  async fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    return await fetch(new Request(env.ORIGIN_URL + pathname + search, request));
  },
};`;

const WITH_OBJECT = `
import { DurableObject } from "cloudflare:workers";
export class IdleObject extends DurableObject {
  async fetch() { return new Response(null); }
}
export default {
  async fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const name = request.headers.get("CF-Connecting-IP");
    await env.IDLE.get(env.IDLE.idFromName(name)).fetch("http://object/");
    return await fetch(new Request(env.ORIGIN_URL + pathname + search, request));
  },
};`;
