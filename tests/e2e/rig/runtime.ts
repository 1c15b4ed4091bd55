// Runs workers in workerd through Miniflare, and can end the workerd process as a crash would. It knows nothing of Tollgate.
import { subscribe } from "node:diagnostics_channel";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { Log, LogLevel, Miniflare } from "miniflare";
import type { MiniflareOptions, WorkerdStructuredLog } from "miniflare";
import { SIGNALS, holdChild } from "./lifetime.ts";

/** The date that `wrangler.toml` deploys with: what runs here behaves as what runs there. */
export const COMPATIBILITY_DATE = compatibilityDate();

function compatibilityDate(): string {
  const config = readFileSync(new URL("../../../wrangler.toml", import.meta.url), "utf8");
  const date = /^compatibility_date = "(.+)"/m.exec(config)?.[1];
  if (date === undefined) throw new Error("wrangler.toml names no compatibility_date");
  return date;
}

export type Worker = MiniflareOptions["workers"][number];

export interface RuntimeOptions {
  workers: Worker[];
  /** Where Durable Objects, KV and D1 live; without it they end with the process. */
  persist?: string;
  log?: (line: WorkerdStructuredLog) => void;
}

export type Runtime = Awaited<ReturnType<typeof startRuntime>>;

/** Miniflare does not say which process it started; Node does. */
const workerds: ChildProcess[] = [];
subscribe("child_process", (message) => {
  const child = (message as { process: ChildProcess }).process;
  child.once("spawn", () => {
    if (/workerd(\.exe)?$/.test(child.spawnfile)) workerds.push(holdChild(child));
  });
});

export async function startRuntime({ workers, persist, log = () => {} }: RuntimeOptions) {
  const before = workerds.length;
  const listeners = SIGNALS.map((signal) => process.listeners(signal));
  const miniflare = new Miniflare({
    workers,
    host: "127.0.0.1",
    port: 0,
    cf: false,
    logRequests: false,
    enableDevRegistry: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: log,
    ...(persist !== undefined && { resourcePersistencePath: persist }),
  });
  // Miniflare would exit at once on a signal; what ends here, and with which code, is for `lifetime` to say.
  SIGNALS.forEach((signal, index) => {
    for (const listener of process.listeners(signal)) {
      if (!listeners[index]!.includes(listener)) process.removeListener(signal, listener);
    }
  });
  const ready = await miniflare.ready;
  const workerd = workerds[before];
  if (workerd === undefined) throw new Error("Miniflare started no workerd process");
  const gone = new Promise<void>((resolve) => workerd.once("exit", () => resolve()));
  return {
    miniflare,
    url: ready.origin,
    async stop(): Promise<void> {
      await miniflare.dispose();
      await gone;
    },
    /** Ends workerd with SIGKILL before anything else can happen. */
    async kill(): Promise<void> {
      workerd.kill("SIGKILL");
      await gone;
      // Miniflare would start another one; what comes after a crash is for the test to say.
      await miniflare.dispose();
    },
  };
}
