// Everything around the gate, started together: chain, facilitator, the proxy that can fail for it, and the origin; and the
// settings of a gate that stands in the middle of it.
import { after, beforeEach } from "node:test";
import { startChain } from "./chain.ts";
import { startFacilitator } from "./facilitator.ts";
import { startFaultyFacilitator } from "./faulty_facilitator.ts";
import { startGate } from "./gate.ts";
import type { Gate, GateOptions, Table } from "./gate.ts";
import { stopAll } from "./lifetime.ts";
import { startOrigin } from "./origin.ts";

/** The payee of the specification's own examples. */
export const PAYEE = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

export type World = Awaited<ReturnType<typeof startWorld>>;

export interface GateWishes extends Partial<Omit<GateOptions, "settings">> {
  /** Laid over the usual settings; `undefined` takes one away. */
  settings?: Table;
  /** Laid over the usual `[vars.TOLLGATE.payment]`. */
  payment?: Table;
}

export async function startWorld() {
  const chain = await startChain();
  const real = await startFacilitator(chain);
  const facilitator = await startFaultyFacilitator(real.url);
  const origin = await startOrigin();
  return {
    chain,
    real,
    facilitator,
    origin,
    settings(wishes: GateWishes = {}): Table {
      return defined({
        origin: origin.url,
        default_plan: "free",
        origin_timeout: "5s",
        flush_interval: "1s",
        payment: defined({
          pay_to: PAYEE,
          network: "base-sepolia",
          asset: "USDC",
          facilitators: [facilitator.url],
          verify_timeout: "5s",
          settle_timeout: "10s",
          ...wishes.payment,
        }),
        ...wishes.settings,
      });
    },
    async gate(wishes: GateWishes = {}): Promise<Gate> {
      return await startGate({
        plans: bucketPlan(),
        ...wishes,
        settings: this.settings(wishes),
      });
    },
    /** Ends everything that this process has started, gates included. */
    stop: stopAll,
  };
}

/** A world and its usual gate for all tests of a file; before each of them the facilitator is whole again. */
export async function startShared(wishes: GateWishes = {}): Promise<{ world: World; gate: Gate }> {
  const world = await startWorld();
  after(async () => await world.stop());
  beforeEach(async () => await world.facilitator.heal());
  return { world, gate: await world.gate(wishes) };
}

/** A bucket for all of the origin, four tokens for a tenth of a cent; it refills so slowly that no test races the clock. */
export function bucketPlan(endpoint: Table = {}): Table {
  return {
    free: {
      name: "Free",
      endpoints: {
        "*": defined({ bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", ...endpoint }),
      },
    },
  };
}

function defined(table: Table): Table {
  return Object.fromEntries(Object.entries(table).filter((entry) => entry[1] !== undefined));
}
