// The embedded page's half of the contract with the page around it, its host. The host sends the
// access token, with which every page and form is fetched; it is kept in this variable only.
"use strict";
(() => {
  const { first, origins } = document.body.dataset;
  const allowed = origins.split(" ");
  const RENEWAL_SECONDS = 15;

  let token = null;
  let ended = false;
  let host = null; // the origin that has sent a token
  let renewing = null;
  let renewed = () => {};
  let timers = [];

  function tell(type, fields = {}) {
    const [around] = location.ancestorOrigins ?? [];
    const there = host ? [host] : allowed.filter((one) => !around || one === around);
    for (const origin of there) parent.postMessage({ type, ...fields }, origin);
  }

  // The token's own times say how long it lives; the clock here may be wrong.
  function lifetime(given) {
    const { iat, exp } = JSON.parse(atob(given.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    if (!(exp > iat)) throw new TypeError("it has no times");
    return (exp - iat) * 1000;
  }

  function accept(given) {
    const before = token;
    const lives = lifetime(given);
    [token, ended] = [given, false];
    timers.forEach(clearTimeout);
    timers = [
      setTimeout(renew, lives - Math.min(60_000, lives / 5)),
      setTimeout(() => renew().then((done) => done || end()), lives),
    ];
    renewed(true);
    document.querySelector("#ended")?.remove();
    if (before === null) {
      htmx.ajax("GET", first, { target: "#page", swap: "outerHTML", source: "#page", headers: { "HX-Boosted": "true" } });
    }
  }

  // Ask the host for a new token; false if none comes in time.
  function renew() {
    renewing ??= new Promise((resolve) => {
      renewed = resolve;
      setTimeout(resolve, RENEWAL_SECONDS * 1000, false);
      tell("meshes:token-refresh");
    }).finally(() => (renewing = null));
    return renewing;
  }

  function end() {
    if (ended) return;
    ended = true;
    tell("meshes:token-expired");
    const notice = document.createElement("p");
    notice.id = "ended";
    notice.className = "notice warn";
    notice.setAttribute("role", "alert");
    notice.textContent = "Your session has ended. Reload the page to continue.";
    document.body.prepend(notice);
  }

  async function authorized(url, request) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
    const send = () => {
      const headers = { ...request.headers, Authorization: `Bearer ${token}`, "X-Time-Zone": zone };
      return fetch(url, { ...request, credentials: "omit", headers });
    };
    const used = token;
    let answer = await send();
    if (answer.status === 401 && (used !== token || (await renew()))) answer = await send();
    if (answer.status !== 401) return answer;
    end();
    throw new Error("the session has ended"); // so that the page stays as it is
  }

  addEventListener("message", ({ source, origin, data }) => {
    if (source !== parent || !allowed.includes(origin)) return;
    if (data?.type !== "meshes:auth" || typeof data.token !== "string") return;
    try {
      accept(data.token);
      host = origin;
    } catch {
      console.error("meshes:auth: the token can't be read");
    }
  });

  document.addEventListener("htmx:config:request", (event) => {
    if (token === null || ended) return event.preventDefault();
    event.detail.ctx.fetch = authorized;
  });

  let shown = null;
  let at = null;
  document.addEventListener("htmx:after:settle", () => {
    const page = document.querySelector("#page");
    if (page === shown && location.href === at) return; // only a part of it was exchanged
    if (shown !== null) document.querySelector("main").focus({ preventScroll: true });
    [shown, at] = [page, location.href];
    const path = location.pathname.replace(/^\/w\/[^/]+/, "");
    tell("meshes:navigate", { page: path.split("/")[1], path });
  });

  // The height of what is shown, and of a menu that is open beyond it. Never the frame's own height,
  // which would keep it from shrinking again.
  let told = 0;
  function measure() {
    const menus = [...document.querySelectorAll("details[open] > .sheet")];
    const ends = [document.body, ...menus].map((one) => one.getBoundingClientRect().bottom + scrollY);
    const height = Math.ceil(Math.max(...ends));
    if (height !== told) tell("meshes:resize", { height: (told = height) });
  }
  new ResizeObserver(measure).observe(document.body);
  document.addEventListener("toggle", measure, true);

  // Of the host's theme, colors, a radius and a font; nothing that could fetch anything.
  const COLORS = ["page", "surface", "sunk", "ink", "soft", "line", "edge", "accent", "accent-ink", "accent-soft"];
  function dress(theme) {
    const { style } = document.documentElement;
    if (theme.dark !== undefined) style.colorScheme = theme.dark ? "dark" : "light";
    for (const name of COLORS) {
      if (CSS.supports("color", theme[name] ?? "")) style.setProperty(`--${name}`, theme[name]);
    }
    if (theme.accent && !theme["accent-soft"]) {
      style.setProperty("--accent-soft", "color-mix(in srgb, var(--accent) 14%, var(--surface))");
    }
    if (theme.page && !theme.sunk) {
      style.setProperty("--sunk", "color-mix(in srgb, var(--ink) 5%, var(--page))");
    }
    if (/^\d{1,2}px$/.test(theme.radius)) style.setProperty("--radius", theme.radius);
    if (/^[\w ,'"-]{1,200}$/.test(theme.font)) style.setProperty("--font", theme.font);
  }

  try {
    dress(JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}"));
  } catch {
    console.error("the theme can't be read");
  }
  // The launch token is used up; it stays in no address.
  history.replaceState({ htmx: true }, "", first);
  tell("meshes:ready");
})();
