// A real browser: Debian's Chromium, or a Chrome that is on PATH, driven by Playwright. It opens pages of a gate and keeps
// what may never happen on one: an error in the console, a request to another host.
import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";
import { freshAddress } from "./gate.ts";
import type { Gate } from "./gate.ts";
import { hold, release } from "./lifetime.ts";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];

/** What is wider than the window, or than what cuts it off; what is for ears only is a pixel wide. */
const TOO_WIDE = `[document.documentElement, ...document.querySelectorAll("body *")]
  .filter((element, nth) => nth === 0 || /hidden|clip/.test(getComputedStyle(element).overflowX) && element.clientWidth > 1)
  .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth + 1)
  .map(({ tagName, className, scrollWidth, clientWidth }) => tagName + "." + className + ": " + scrollWidth + " of " + clientWidth + " px")`;

export interface Look {
  width?: number;
  height?: number;
  scheme?: "light" | "dark";
  /** The address that it calls from; without it, one that nobody has called from. */
  ip?: string;
  /** Which messages of the console belong to the test. Chromium notes there every answer of 400 and above. */
  expected?: RegExp;
  /** What is done to the window before it opens anything. */
  prepare?: (page: Page) => Promise<unknown>;
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** What was wrong so far: errors of the console and of scripts, requests that went elsewhere. */
  faults: string[];
  /** Asserts that nothing was wrong, that nothing is wider than the window, and that nothing is cut off. */
  fine(): Promise<void>;
  /** Writes a picture into the folder that TOLLGATE_SHOTS names, where it does. */
  shot(name: string): Promise<void>;
  close(): Promise<void>;
}

export type Browser = Awaited<ReturnType<typeof startBrowser>>;

export async function startBrowser() {
  const browser = await chromium.launch({
    executablePath: program(),
    // Chromium's sandbox refuses to run as root.
    args: ["--disable-dev-shm-usage", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
    // What ends here on a signal is for `lifetime` to say.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const part = {
    /** A window of its own, as somebody's who was never here, at a path of the gate. */
    async visit(gate: Gate, path: string, { width = 1280, height = 900, scheme = "light", ip = freshAddress(), expected, prepare }: Look = {}): Promise<Visit> {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: scheme,
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC",
        extraHTTPHeaders: { "CF-Connecting-IP": ip },
      });
      const page = await context.newPage();
      const faults = watch(page, gate, expected);
      await prepare?.(page);
      await page.goto(gate.at(path));
      return {
        page,
        context,
        faults,
        async fine(): Promise<void> {
          assert.deepEqual(faults, []);
          assert.deepEqual(await page.evaluate(TOO_WIDE), [], "wider than its place");
        },
        async shot(name: string): Promise<void> {
          const folder = process.env["TOLLGATE_SHOTS"];
          if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
        },
        close: async () => await context.close(),
      };
    },
    async stop(): Promise<void> {
      release(part);
      await browser.close();
    },
  };
  return hold(part);
}

function watch(page: Page, gate: Gate, expected: RegExp | undefined): string[] {
  const faults: string[] = [];
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !expected?.test(text)) faults.push(text);
  });
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== gate.url) faults.push(`a request to ${url}`);
  });
  return faults;
}

function program(): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = PROGRAMS.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (found === undefined) throw new Error(`none of ${PROGRAMS.join(", ")} is on PATH: run scripts/setup.sh browser`);
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
