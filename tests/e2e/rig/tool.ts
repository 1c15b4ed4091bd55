// The command-line tool as it is called from a shell: the built binary, its environment, and what it comes to.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Table } from "./gate.ts";
import { holdChild } from "./lifetime.ts";

const binary = process.env["TOLLGATE_TOOL"] ?? fileURLToPath(new URL("../../../build/tollgate", import.meta.url));

export interface Done {
  code: number | null;
  out: string;
  err: string;
}

export type Tool = (...args: string[]) => Promise<Done>;

/** The tool, with these variables and no others of its own. */
export function toolWith(environment: Record<string, string>): Tool {
  if (!existsSync(binary)) throw new Error("build/tollgate is not there: run `make tool` first");
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("TOLLGATE_"));
  return async (...args) => {
    const child = holdChild(spawn(binary, args, {
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    }));
    const text = { out: "", err: "" };
    for (const [name, stream] of [["out", child.stdout!], ["err", child.stderr!]] as const) {
      stream.setEncoding("utf8").on("data", (chunk: string) => text[name] += chunk);
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { code, ...text };
  };
}

/** What the tool printed, where it must have succeeded. */
export function printed(done: Done): string {
  assert.equal(done.code, 0, `${done.code}: ${done.out}${done.err}`);
  return done.out;
}

/** The same, of `--json`. */
export function json(done: Done): Table {
  return JSON.parse(printed(done)) as Table;
}

/** The error of `--json`, where the tool must have failed so. */
export function failed(done: Done, code: number): Table {
  assert.equal(done.code, code, `${done.code}: ${done.out}${done.err}`);
  const error = JSON.parse(done.err) as Table;
  assert.equal(error["exit_code"], code);
  return error;
}
