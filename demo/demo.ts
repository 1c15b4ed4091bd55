// `make demo`: starts a chain, a facilitator, an API and the gate before it on this machine, tells the story of a client that
// pays, and stays up to be tried by hand until Ctrl-C. With `--once` it ends after the story, with 0 or 1.
import { randomBytes } from "node:crypto";
import { stopAll, interruptIsSuccess } from "../tests/e2e/rig/lifetime.ts";
import type { Gate } from "../tests/e2e/rig/gate.ts";
import { startWorld } from "../tests/e2e/rig/world.ts";
import type { World } from "../tests/e2e/rig/world.ts";
import { bad, good, print, style } from "./page.ts";
import { tellStory } from "./story.ts";

const PLANS = {
  free: {
    name: "Free",
    endpoints: {
      "GET /cpu": { bucket: { capacity: 4, refill_rate: 0.1 }, over_limit: "pay", price: "0.001" },
    },
  },
};

const ADMIN_TOKEN = randomBytes(16).toString("hex");

async function start(): Promise<{ world: World; gate: Gate }> {
  print(style("bold", "Tollgate: a rate limit that a client can pay to lift"));
  print();
  const world = await startWorld();
  good(`chain        ${world.chain.url}  anvil, with a real USDC contract`);
  good(`facilitator  ${world.real.url}  @x402/core, settles payments on that chain`);
  good(`API          ${world.origin.url}  knows nothing of limits or payments`);
  const gate = await world.gate({ plans: PLANS, secrets: { ADMIN_TOKEN } });
  // The first request compiles the worker; the story should not be about that.
  await gate.client()("/_tollgate/health");
  good(`gate         ${gate.url}  the Rust worker in workerd, in front of the API`);
  return { world, gate };
}

function inviteToTry(gate: Gate): void {
  print();
  print(style("bold", `Now you: the gate is at ${gate.url} until Ctrl-C.`));
  print();
  print(`  curl -i ${gate.url}/cpu`);
  print(`  for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%{http_code}\\n' ${gate.url}/cpu; done`);
  print(`  curl -s '${gate.url}/_tollgate/limits?endpoint=/cpu'`);
  print();
  print(`And the owner's dashboard, in a browser: ${gate.url}/_tollgate/dashboard`);
  print(`Its admin token: ${ADMIN_TOKEN}`);
  print();
}

try {
  const { world, gate } = await start();
  await tellStory(world, gate);
  print();
  print(style(["bold", "green"], "All of it held."));
  if (process.argv.includes("--once")) {
    await stopAll();
  } else {
    interruptIsSuccess();
    inviteToTry(gate);
  }
} catch (error) {
  bad(error instanceof Error ? error.message : String(error));
  if (process.env["TOLLGATE_LOGS"]) console.error(error);
  await stopAll();
  process.exitCode = 1;
}
