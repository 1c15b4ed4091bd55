// Ends what was started: every part of the rig is held here, and is stopped when its owner stops it, when the process is
// interrupted, and, for child processes, when this process exits for whatever reason it can see.
// It does not start anything.
import type { ChildProcess } from "node:child_process";

export interface Stoppable {
  stop(): Promise<void>;
}

const held = new Set<Stoppable>();
const children = new Set<ChildProcess>();

/** Holds a part until it is released; `stopAll` stops the youngest first. */
export function hold<T extends Stoppable>(part: T): T {
  held.add(part);
  return part;
}

export function release(part: Stoppable): void {
  held.delete(part);
}

export async function stopAll(): Promise<void> {
  for (const part of [...held].reverse()) {
    held.delete(part);
    await part.stop();
  }
}

/** A child that must not outlive this process. */
export function holdChild(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

// The exit code of a process that a signal ended is 128 plus the signal's number.
let exitCode = (signal: number): number => 128 + signal;

/** From now on an interrupt is how this process is meant to end. */
export function interruptIsSuccess(): void {
  exitCode = () => 0;
}

for (const signal of SIGNALS) {
  process.once(signal, () => {
    void stopAll().finally(() => process.exit(exitCode(NUMBERS[signal])));
  });
}
