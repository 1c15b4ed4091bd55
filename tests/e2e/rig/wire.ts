// Requests written to the socket by hand, for what `fetch` would tidy up, refuse to send, or not break off so rudely.
import { connect } from "node:net";
import { freshAddress } from "./gate.ts";
import type { Gate } from "./gate.ts";

export interface Answered {
  status: number;
  head: string;
  /** The one JSON object of the body, if it has one. */
  body: string;
}

/** Sends `path` and `headers` exactly as given, as somebody who has never called. */
export async function getByHand(gate: Gate, path: string, headers: string[] = []): Promise<Answered> {
  return await sendByHand(gate.url, "GET", path, headers);
}

/** Sends method, `path` and `headers` exactly as given, from `ip`, to whatever listens at that URL. */
export async function sendByHand(to: string, method: string, path: string, headers: string[] = [], ip = freshAddress()): Promise<Answered> {
  const { hostname, port, host } = new URL(to);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, `CF-Connecting-IP: ${ip}`, ...headers];
  socket.write(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += chunk;
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end);
  // A chunked body has its one JSON object between the first brace and the last.
  const body = text.slice(text.indexOf("{", end), text.lastIndexOf("}") + 1);
  return { status: Number(head.split(" ")[1]), head, body };
}

/**
 * A request from `ip` whose client can go away. It resets the connection: of one that is merely closed, as `fetch` does, the
 * other half could still be read, so that workerd takes the client to be there until it writes.
 */
export function leavable(gate: Gate, ip: string, path: string, headers: Record<string, string> = {}): { text(): string; answered(): boolean; leave(): void } {
  const { hostname, port, host } = new URL(gate.url);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk) => text += chunk);
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, `CF-Connecting-IP: ${ip}`];
  lines.push(...Object.entries(headers).map(([name, value]) => `${name}: ${value}`));
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return { text: () => text, answered: () => text !== "", leave: () => void socket.resetAndDestroy() };
}
