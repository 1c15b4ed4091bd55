// @ts-check
// Spans of time in words, and those in the page running down.

/** A span of time in its two largest units. @param {number} seconds */
function spanOf(seconds) {
  const parts = [];
  for (const [length, unit] of /** @type {[number, string][]} */ ([[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]])) {
    const count = Math.floor(seconds / length);
    if (count > 0 && parts.length < 2) parts.push(`${count} ${unit}${count === 1 ? "" : "s"}`);
    seconds %= length;
  }
  return parts.join(" ") || "a moment";
}

/** Lets every time in the page run down. */
function countDown() {
  const began = Date.now();
  const passes = Number(document.getElementById("passes")?.dataset["seconds"] ?? 0);
  const bar = document.getElementById("bar");
  if (bar) bar.hidden = false;
  const tick = () => {
    const gone = (Date.now() - began) / 1000;
    for (const time of document.querySelectorAll("time[data-seconds]")) {
      time.textContent = spanOf(Math.max(0, Math.ceil(Number(/** @type {HTMLElement} */ (time).dataset["seconds"]) - gone)));
    }
    const fill = /** @type {HTMLElement | null | undefined} */ (bar?.firstElementChild);
    if (fill) fill.style.width = `${Math.min(100, (gone / passes) * 100)}%`;
    if (passes > 0 && gone >= passes) {
      document.body.classList.add("free");
      found("wait-title").textContent = "Free again now";
    }
  };
  tick();
  setInterval(tick, 500);
}
