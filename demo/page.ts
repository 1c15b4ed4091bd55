// How the demo looks on a terminal: steps, lines, colours. Colours appear on a terminal or with FORCE_COLOR, and never with
// NO_COLOR. It knows nothing of what is shown.
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

let steps = 0;

/** A numbered heading and a sentence on what is about to be seen. */
export function step(title: string, why: string): void {
  steps += 1;
  print();
  print(`${style(["bold", "cyan"], `${steps}  ${title}`)}`);
  print(style("dim", `   ${why}`));
}

/** A request and its answer, in one line. */
export function exchange(request: string, status: number, note = ""): void {
  const colour = status < 300 ? "green" : status === 402 ? "yellow" : "red";
  print(`   ${request.padEnd(11)} ${style(["bold", colour], String(status))}  ${note}`);
}

export function fact(name: string, value: string): void {
  print(`   ${style("dim", name.padEnd(11))} ${value}`);
}

export function good(text: string): void {
  print(`   ${style("green", "✓")} ${text}`);
}

export function bad(text: string): void {
  print(`   ${style(["bold", "red"], "✗")} ${text}`);
}

export class Unexpected extends Error {}

/** Ends the demo, saying what should have been seen, unless `actual` is `expected`. */
export function expect(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) throw new Unexpected(`${what}: expected ${show(expected)}, got ${show(actual)}`);
}

function show(value: unknown): string {
  return typeof value === "bigint" ? `${value}` : JSON.stringify(value);
}
