// A load generator: a fixed number of callers, each sending its next request when its last one has been answered. It measures
// how many answers come in a second and how long each took, and how busy it was itself.
import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";

export interface LoadOptions {
  url: string;
  callers: number;
  ms: number;
  /** The headers of the n-th request. */
  headers: (index: number) => Record<string, string>;
}

export interface Measurement {
  perSecond: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** The share of the time in which the generator (and the origin, which shares its thread) was working: near 1, it is the limit. */
  busy: number;
}

export async function load({ url, callers, ms, headers }: LoadOptions): Promise<Measurement> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  const times: number[] = [];
  const busy = performance.eventLoopUtilization();
  const start = performance.now();
  const end = start + ms;
  let index = 0;
  await Promise.all(Array.from({ length: callers }, async () => {
    while (performance.now() < end) {
      const sent = performance.now();
      await call(url, agent, headers(index++));
      times.push(performance.now() - sent);
    }
  }));
  const seconds = (performance.now() - start) / 1000;
  agent.destroy();
  times.sort((a, b) => a - b);
  return {
    perSecond: times.length / seconds,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    busy: performance.eventLoopUtilization(busy).utilization,
  };
}

function call(url: string, agent: Agent, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, headers }, (response) => {
      response.once("error", reject);
      response.once("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url} answered ${response.statusCode}, which is not what is measured here`));
      });
      response.resume();
    });
    sent.once("error", reject);
    sent.end();
  });
}

/** Of values in order. */
export function quantile(sorted: number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function median(values: number[]): number {
  return quantile([...values].sort((a, b) => a - b), 0.5);
}
