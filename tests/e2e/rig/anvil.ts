// Anvil, a node of a local chain, at a free port.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { holdChild } from "./lifetime.ts";

/** What anvil derives its funded accounts from; worthless anywhere else. */
export const MNEMONIC = "test test test test test test test test test test test junk";

export async function startAnvil(options: string[]) {
  const child = holdChild(spawn(anvilBinary(), [...options, "--port", "0", "--mnemonic", MNEMONIC], { stdio: ["ignore", "pipe", "inherit"] }));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`anvil exited with ${code} before it listened`)));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const address = /^Listening on (\S+)/.exec(line)?.[1];
      if (address) resolve(`http://${address}`);
    });
  });
  return {
    url,
    async stop(): Promise<void> {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** The binary itself, not the package's launcher: a launcher that is killed leaves its child behind. */
function anvilBinary(): string {
  const os = process.platform === "win32" ? "win32" : process.platform;
  const cpu = process.arch === "x64" ? "amd64" : process.arch;
  const suffix = process.platform === "win32" ? ".exe" : "";
  return createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${os}-${cpu}/bin/anvil${suffix}`);
}
