// `make bench`: what the gate costs a request, beside workers that do nothing. All subjects run in one go and take turns, so that
// what else the machine does hits all of them; ratios are taken within a round, and medians over the rounds.
import { parseArgs } from "node:util";
import { availableParallelism } from "node:os";
import { stopAll } from "../tests/e2e/rig/lifetime.ts";
import { serve } from "../tests/e2e/rig/server.ts";
import { load, median } from "./load.ts";
import type { Measurement } from "./load.ts";
import { startSubjects } from "./subjects.ts";
import type { Subject } from "./subjects.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "2" },
    callers: { type: "string", default: "16" },
    json: { type: "boolean", default: false },
  },
});
const rounds = count("rounds");
const seconds = count("seconds");
const callers = count("callers");

function count(name: "rounds" | "seconds" | "callers"): number {
  const value = Number(values[name]);
  if (!(value > 0)) throw new Error(`--${name} takes a number above 0`);
  return value;
}

async function measure({ url, headers }: Subject, ms: number): Promise<Measurement> {
  return await load({ url: `${url}/`, callers, ms, headers });
}

async function run(): Promise<void> {
  const body = Buffer.from(JSON.stringify({ hello: "world" }));
  const head = { "content-type": "application/json", "content-length": body.length };
  const origin = await serve((_, response) => response.writeHead(200, head).end(body));
  try {
    const direct: Subject = { name: "    the origin, without a worker", url: origin.url, headers: () => ({}) };
    const subjects = [direct, ...await startSubjects(origin.url)];
    for (const subject of subjects) await measure(subject, 1000);
    const results = new Map<Subject, Measurement[]>(subjects.map((subject) => [subject, []]));
    for (let round = 0; round < rounds; round += 1) {
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
      for (const subject of subjects) results.get(subject)!.push(await measure(subject, seconds * 1000));
    }
    report(subjects.map((subject) => summarise(subject, results)), results);
  } finally {
    await stopAll();
    await origin.stop();
  }
}

type Row = ReturnType<typeof summarise>;

function summarise(subject: Subject, results: Map<Subject, Measurement[]>) {
  const base = [...results].find(([{ name }]) => name.startsWith("(a)"))![1];
  const own = results.get(subject)!;
  return {
    name: subject.name,
    perSecond: median(own.map(({ perSecond }) => perSecond)),
    p50: median(own.map(({ p50 }) => p50)),
    p99: median(own.map(({ p99 }) => p99)),
    ratio: median(own.map(({ perSecond }, round) => perSecond / base[round]!.perSecond)),
  };
}

function report(rows: Row[], results: Map<Subject, Measurement[]>): void {
  if (values.json) {
    console.log(JSON.stringify({ rounds, seconds, callers, rows }));
    return;
  }
  console.log(`medians of ${rounds} rounds of ${seconds} s, ${callers} callers, ${availableParallelism()} cores`);
  console.log();
  console.log(`${"".padEnd(40)} ${"req/s".padStart(8)} ${"p50 ms".padStart(8)} ${"p99 ms".padStart(8)} ${"of (a)".padStart(8)}`);
  for (const { name, perSecond, p50, p99, ratio } of rows) {
    const cells = [perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(2), ratio.toFixed(2)];
    console.log(`${name.padEnd(40)} ${cells.map((cell) => cell.padStart(8)).join(" ")}`);
  }
  const busiest = [...results].filter(([{ name }]) => name.startsWith("(")).flatMap(([, own]) => own.map(({ busy }) => busy));
  if (median(busiest) > 0.9) {
    console.log();
    console.log("The load generator was busy all the time: the workers may be faster than this says.");
  }
}

await run();
