// Keeps the countdown running and brings in what is new, so that nobody has to reload.
// Without script the pages reload themselves every few seconds instead.
"use strict";

function tick() {
  for (const element of document.querySelectorAll("[data-due]")) {
    const left = Math.max(0, Math.round((Number(element.dataset.due) - Date.now()) / 1000));
    const clock = [Math.floor(left / 60), left % 60].map((part) => String(part).padStart(2, "0"));
    const running = element.dataset.form === "clock" ? clock.join(":") : "in " + left + " s";
    element.textContent = left ? running : "now";
  }
}

async function look() {
  const known = document.body.dataset.version;
  const passed = [...document.querySelectorAll("[data-due]")].some(
    (element) => Number(element.dataset.due) + 1500 < Date.now(),
  );
  const state = await (await fetch("/state")).json();
  if (state.version === known && !passed) return;
  const page = await (await fetch(location.href)).text();
  const fresh = new DOMParser().parseFromString(page, "text/html");
  // Only the parts that change are replaced: an open mail stays where its reader has scrolled to.
  for (const part of ["#live", ".due", ".countdown"]) {
    const old = document.querySelector(part);
    const next = fresh.querySelector(part);
    if (old && next) old.replaceWith(next);
  }
  document.body.dataset.version = fresh.body.dataset.version;
  tick();
}

tick();
setInterval(tick, 250);
setInterval(() => look().catch(() => {}), 1500);
