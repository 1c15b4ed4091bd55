// What the gate answers is what it says that it answers: schemathesis reads /openapi.json and sends what it describes, and
// what it rules out, to every operation of the gate's own; statuses, content types, header fields and bodies must conform.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { served } from "./rig/answers.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { hold, stopAll } from "./rig/lifetime.ts";
import { ADMIN_TOKEN, startLimits } from "./rig/limits.ts";

const folder = fileURLToPath(new URL("conformance/", import.meta.url));

let gate: Gate;

before(async () => {
  const bucket = { bucket: { capacity: 4, refill_rate: 1 } };
  ({ gate } = await startLimits({
    plans: {
      free: { name: "Free", credit_price: "0.001", endpoints: { "GET /cpu": { ...bucket, over_limit: "pay", price: "0.001" }, "*": bucket } },
      pro: { endpoints: { "*": bucket } },
    },
    settings: {
      payment: {
        pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        network: "base-sepolia",
        facilitators: ["http://127.0.0.1:9"],
      },
    },
  }));
});

after(stopAll);

test("every operation of the gate's own answers as /openapi.json describes it", async () => {
  const description = await (await served(await gate.client()("/_tollgate/openapi.json"))).text();
  const { status, output } = await schemathesis(description, [
    "--url", gate.url,
    // What the API behind the gate answers is not the gate's to describe.
    "--exclude-tag", "api",
    "--phases", "examples,coverage,fuzzing",
    "--max-examples", "5",
    "--generation-deterministic",
    "--continue-on-failure",
    "--request-timeout", "30",
    "--no-color",
  ]);
  assert.equal(status, 0, output);
  const { paths } = JSON.parse(description) as Table;
  const operations = Object.entries(paths as Table).flatMap(([path, item]) =>
    path.startsWith("/_tollgate/") ? Object.keys(item).filter((method) => method !== "parameters") : []);
  assert.match(output, new RegExp(`Tested: ${operations.length}\\b`), output);
});

async function schemathesis(description: string, options: string[]): Promise<{ status: number | null; output: string }> {
  const cache = process.env["TOLLGATE_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tollgate");
  const program = join(cache, "python", "bin", "schemathesis");
  if (!existsSync(program)) throw new Error(`${program} is not there: run scripts/setup.sh python`);
  // It keeps what failed before in the folder where it runs, and tries that first: no run may depend on another.
  const scratch = await mkdtemp(join(tmpdir(), "tollgate-"));
  hold({ stop: async () => await rm(scratch, { recursive: true, force: true }) });
  const file = join(scratch, "openapi.json");
  await writeFile(file, description);
  const child = spawn(program, ["--config-file", join(folder, "schemathesis.toml"), "run", file, ...options], {
    cwd: scratch,
    env: { ...process.env, SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1", ADMIN_TOKEN },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 240_000,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => { output += chunk.toString(); });
  const status = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  return { status, output };
}
