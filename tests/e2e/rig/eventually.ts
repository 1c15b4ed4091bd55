// Waits for something that happens by itself, such as an alarm, and no longer than it may take.

/** The first result of `look` that is not `undefined`. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, withinMs = 10_000): Promise<T> {
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
