// Waits for something that happens by itself, such as an alarm.

/** When it is given up: no test measures speed by it, and a machine may be slow. */
const PATIENCE_MS = 90_000;

/** The first result of `look` that is not `undefined`. Less patience is for what would happen later in another way. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, withinMs = PATIENCE_MS): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`within ${withinMs} ms it did not happen that ${what}`);
    await sleep(50);
  }
}

/** For the contracts that are about time, where nothing but time can pass. */
export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
