// The page of fence_kdumpd. Everything that comes from the daemon is put in as text, never as HTML.

import { askJson, follow, hasToken, reason, Refused, setToken } from "./daemon.js";
import { dumped, eventLine, fillRow, fillTimes, isActive, newRow } from "./rows.js";
import { badge, clock, element, setText, span } from "./text.js";
import { drawTimeline } from "./timeline.js";

const PAGE = 100; // nodes at once
const LATEST = 12; // events under the table
const PAST = 2000; // events of one node
const STATES = ["all", "active", "started", "dumping", "lost", "finished", "rebooted", "candidate", "unheard"];
const LABELS = { all: "All", active: "In a dump" };
const FACTS = ["State", "Since", "Last heard", "Phase", "Dumped", "Messages", "Proof", "Has to be", "From", "Key"];

const $ = (id) => document.getElementById(id);
const same = (a, b) => a.toLowerCase() === b.toLowerCase();

// What is looked at.
const look = { filter: null, search: "", offset: 0, node: null };
// What is known, and when the fleet and the one node were asked for, by this page's own clock.
const known = { fleet: null, fleetAt: 0, one: null, oneAt: 0, past: [], next: null, latest: [] };
const rows = new Map(); // by name

// ---- the connection

// Whether the events come, and whether the daemon answers: only with both it is live.
const link = { lostSince: null, why: "", follows: false, answers: true };

function settle() {
  if (!link.follows || !link.answers) return;
  link.lostSince = null;
  $("link").dataset.state = "live";
  setText($("link-text"), "live");
  $("banner").hidden = true;
}

function lost(error) {
  if (error instanceof Refused) { showTokenForm(); return; }
  link.lostSince ??= Date.now();
  link.why = reason(error);
  $("link").dataset.state = "lost";
  setText($("link-text"), "connection lost");
  tellLost();
}

const seenAt = () => (look.node === null ? known.fleetAt : known.oneAt);

function tellLost() {
  if (link.lostSince === null) return;
  const shown = known.fleet === null ? "" : ` What you see is ${span(performance.now() - seenAt())} old.`;
  setText($("banner"), `The connection to the daemon is lost since ${clock(link.lostSince)}` +
    ` (${link.why}).${shown} Trying again.`);
  $("banner").hidden = false;
}

function showTokenForm() {
  $("token-wrong").hidden = !hasToken();
  $("token-form").hidden = false;
  $("fleet").hidden = true;
  $("node").hidden = true;
  setText($("link-text"), "no token");
}

$("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  $("token-form").hidden = true;
  setToken($("token").value.trim());
  $("token").value = "";
  refreshAll();
});

// An event, or null when some are missing.
function told(event) {
  if (event === null) { refreshAll(); return; }
  const isNew = (events) => events.every((one) => one.id !== event.id);
  if (isNew(known.latest)) known.latest = [event, ...known.latest].slice(0, LATEST);
  if (look.node !== null && same(event.node, look.node) && isNew(known.past)) {
    known.past = [event, ...known.past].slice(0, PAST);
  }
  drawEventsSoon(event);
  refreshSoon(150);
}

// ---- what is known

let refreshTimer = 0;
let refreshAt = Infinity;
let asking = false;
let lastAsked = -Infinity;

// At most once a second, however much happens.
function refreshSoon(ms) {
  const at = Math.max(performance.now() + ms, lastAsked + 1000);
  if (at >= refreshAt) return;
  clearTimeout(refreshTimer);
  refreshAt = at;
  refreshTimer = setTimeout(refresh, Math.max(0, at - performance.now()));
}

async function refresh() {
  clearTimeout(refreshTimer);
  refreshAt = Infinity;
  if (asking || !$("token-form").hidden) return;
  if (document.hidden && known.fleet !== null) return;
  asking = true;
  lastAsked = performance.now();
  const wanted = JSON.stringify(look);
  try {
    const [fleet, one] = await Promise.all([askJson(`api/v1/fleet?${query()}`), askNode()]);
    link.answers = true;
    settle();
    if (wanted === JSON.stringify(look)) {
      learn(fleet, one);
      draw();
    }
  } catch (error) {
    link.answers = error instanceof Refused;
    lost(error);
  }
  asking = false;
  if (wanted !== JSON.stringify(look)) refreshSoon(0);
  const states = known.fleet?.states;
  refreshSoon(!link.answers || (states && states.started + states.dumping > 0) ? 3000 : 5000);
}

function learn(fleet, one) {
  const now = performance.now();
  if (look.node === null) {
    Object.assign(known, { fleet, fleetAt: now });
  } else {
    // The rows stay as they were, for whoever goes back to them.
    const before = known.fleet ?? { ...fleet, nodes: null };
    const { daemon, states } = fleet;
    Object.assign(known, { fleet: { ...before, daemon, states }, one, oneAt: now });
  }
}

async function askNode() {
  if (look.node === null) return null;
  try {
    return await askJson(`api/v1/nodes/${encodeURIComponent(look.node)}`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function query() {
  if (look.node !== null) return "limit=1";
  const wanted = { limit: PAGE, offset: look.offset };
  if (look.filter !== null) wanted.state = look.filter;
  if (look.search) wanted.q = look.search;
  return new URLSearchParams(wanted);
}

// The events of the node that is looked at, or the latest of all; `before` one, or the newest.
async function refreshPast(before) {
  if (!$("token-form").hidden) return;
  const { node } = look;
  const wanted = new URLSearchParams(node === null ? { limit: LATEST } : { limit: 500, node });
  if (before) wanted.set("before", before);
  try {
    const { events, next } = await askJson(`api/v1/history?${wanted}`);
    if (node !== look.node) return;
    if (node === null) known.latest = events;
    else Object.assign(known, { past: before ? known.past.concat(events) : events, next: next ?? null });
    drawEvents();
  } catch (error) {
    if (error instanceof Refused) showTokenForm();
    else if (node === look.node) drawEvents(error.message);
  }
}

function refreshAll() {
  refreshSoon(0);
  refreshPast();
}

// ---- the fleet

function draw() {
  const { fleet } = known;
  const { version, pid, port, listening } = fleet.daemon;
  const { started, dumping, all } = fleet.states;
  // Of a large fleet, those in a dump are what matters first.
  if (look.filter === null) {
    look.filter = all > PAGE && started + dumping > 0 ? "active" : "all";
    if (look.filter === "active") refreshSoon(0);
  }
  $("fleet").hidden = look.node !== null || fleet.nodes === null;
  $("node").hidden = look.node === null;
  setText($("daemon"), `version ${version}, process ${pid}, ` +
    (listening ? `listening on UDP port ${port}` : `NOT listening on UDP port ${port}`));
  const troubles = [...fleet.daemon.troubles];
  if (!listening) troubles.unshift(`The daemon does not have UDP port ${port}: it hears no node.`);
  $("troubles").hidden = troubles.length === 0;
  $("troubles").replaceChildren(...troubles.map((trouble) => element("li", {}, trouble)));
  const active = started + dumping > 0 ? `(${started + dumping}) ` : "";
  document.title = `${active}${look.node === null ? "" : `${look.node} – `}fence_kdumpd`;
  if (look.node !== null) {
    drawNode();
  } else if (fleet.nodes !== null) {
    drawStates();
    drawRows();
    drawPager();
  }
  tick();
}

function drawStates() {
  const { states } = known.fleet;
  const group = $("states");
  if (group.childElementCount === 0) {
    for (const state of STATES) {
      const name = LABELS[state] ? element("span", {}, LABELS[state]) : badge(state);
      const button = element("button", { type: "button", "data-state": state }, name, element("span", { class: "count" }));
      button.addEventListener("click", () => {
        Object.assign(look, { filter: state, offset: 0 });
        drawStates();
        refreshSoon(0);
      });
      group.append(button);
    }
  }
  for (const button of group.children) {
    const { state } = button.dataset;
    const count = state === "active" ? states.started + states.dumping : states[state];
    setText(button.lastElementChild, count.toLocaleString());
    // Most daemons know none, and it is no state of a node that is known.
    button.hidden = state === "candidate" && count === 0 && look.filter !== state;
    button.setAttribute("aria-pressed", String(state === look.filter));
  }
}

function drawRows() {
  const { nodes, matching, states } = known.fleet;
  const body = $("rows");
  const names = new Set(nodes.map((node) => node.name));
  for (const [name, { row }] of rows) if (!names.has(name)) { row.remove(); rows.delete(name); }
  nodes.forEach((node, place) => {
    const shown = rows.get(node.name) ?? newRow(node.name);
    rows.set(node.name, shown);
    if (body.children[place] !== shown.row) body.insertBefore(shown.row, body.children[place] ?? null);
    fillRow(shown, node);
  });
  $("nodes").hidden = nodes.length === 0;
  $("none").hidden = nodes.length > 0;
  setText($("none"), noneText());
  const of = matching === states.all ? "" : ` of ${states.all.toLocaleString()}`;
  setText($("matching"), `${matching.toLocaleString()}${of} ${states.all === 1 ? "node" : "nodes"}`);
}

function noneText() {
  if (known.fleet.states.all === 0) return "The daemon follows no node yet.";
  if (look.search) return `No node here has '${look.search}' in its name or address.`;
  return look.filter === "active" ? "No node is in a dump." : "No node is in this state.";
}

function drawPager() {
  const { matching, offset, nodes } = known.fleet;
  const last = offset + nodes.length;
  $("pager").hidden = matching <= PAGE && offset === 0;
  $("previous").disabled = offset === 0;
  $("next").disabled = last >= matching;
  setText($("range"), `${(offset + 1).toLocaleString()}–${last.toLocaleString()} of ${matching.toLocaleString()}`);
}

function turn(by) {
  look.offset = Math.max(0, look.offset + by);
  refreshSoon(0);
}

$("previous").addEventListener("click", () => turn(-PAGE));
$("next").addEventListener("click", () => turn(PAGE));
$("search").addEventListener("input", () => {
  Object.assign(look, { search: $("search").value.trim(), offset: 0 });
  refreshSoon(150);
});

// ---- one node

const fact = (name) => $("facts").querySelector(`[data-fact="${name}"]`);

function drawNode() {
  setText($("node-title"), look.node);
  const node = known.one?.node;
  $("gone").hidden = node !== undefined;
  $("facts").hidden = node === undefined;
  if (!node) return;
  if ($("facts").childElementCount === 0) {
    for (const name of FACTS) {
      $("facts").append(element("div", {}, element("dt", {}, name), element("dd", { "data-fact": name })));
    }
  }
  const put = (name, ...children) => {
    const shown = children.filter((child) => child !== undefined);
    fact(name).replaceChildren(...shown);
    fact(name).parentElement.hidden = shown.length === 0;
  };
  put("State", badge(node.state));
  put("Phase", node.phase);
  put("Dumped", ...dumped(node));
  put("Messages", node.messages > 0 ? String(node.messages) : undefined);
  put("Proof", node.proof);
  put("Has to be", node.policy);
  put("From", node.from);
  put("Key", node.key_id);
  fact("Since").parentElement.hidden = node.since_ms === undefined;
  drawDumps();
}

function drawDumps() {
  if (look.node === null) return;
  const now = known.one ? known.one.time_ms + (performance.now() - known.oneAt) : Date.now();
  drawTimeline($("timeline"), look.node, known.past, now);
}

// ---- events

let eventsTimer = 0;
let newest = null;

// Four times a second, however much happens.
function drawEventsSoon(event) {
  newest = event;
  if (eventsTimer !== 0) return;
  eventsTimer = setTimeout(() => {
    eventsTimer = 0;
    drawEvents();
    $("said").append(element("p", {}, `${newest.node}: ${newest.kind}`));
    while ($("said").childElementCount > 5) $("said").firstElementChild.remove();
  }, 250);
}

function drawEvents(trouble) {
  const { past, latest, next } = known;
  $("latest").replaceChildren(...latest.map((event) => eventLine(event, true, event.id === newest?.id)));
  $("latest-none").hidden = latest.length > 0;
  setText($("latest-none"), trouble ?? "Nothing yet.");
  $("events").replaceChildren(...past.map((event) => eventLine(event, false, event.id === newest?.id)));
  $("events-none").hidden = past.length > 0 && !trouble;
  setText($("events-none"), trouble ?? "Nothing is known of earlier dumps.");
  $("older").hidden = next === null;
  drawDumps();
}

$("older").addEventListener("click", async () => {
  $("older").disabled = true;
  await refreshPast(known.next);
  $("older").disabled = false;
});

// ---- what goes on by itself

// What grows older, each second.
function tick() {
  tellLost();
  const { fleet, one } = known;
  if (fleet === null) return;
  const older = performance.now() - seenAt();
  if (look.node === null) {
    for (const { node, since, heard } of rows.values()) fillTimes(node, older, fleet.time_ms, since, heard);
  } else if (one && fact("Since")) {
    fillTimes(one.node, older, one.time_ms, fact("Since"), fact("Last heard"));
    if (isActive(one.node)) drawDumps();
  }
}

// The address says which node is looked at, so that one can go back, and keep it.
function go() {
  const named = /^#node=(.+)$/.exec(location.hash);
  let node = null;
  try { node = named ? decodeURIComponent(named[1]) : null; } catch { /* no name */ }
  if (node === look.node && known.fleet !== null) return;
  look.node = node;
  Object.assign(known, { one: null, past: [], next: null });
  for (const id of ["timeline", "events", "facts"]) $(id).replaceChildren();
  if (known.fleet !== null) {
    draw();
    $("gone").hidden = true;
    window.scrollTo(0, 0);
    if (node !== null) $("node-title").focus();
  }
  lastAsked = -Infinity;
  refreshAll();
}

window.addEventListener("hashchange", go);
window.addEventListener("resize", drawDumps);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshSoon(0); });
document.addEventListener("keydown", (key) => {
  if (key.key === "/" && document.activeElement?.tagName !== "INPUT" && look.node === null) {
    key.preventDefault();
    $("search").focus();
  }
  if (key.key === "Escape" && look.node !== null) location.hash = "";
});
setInterval(tick, 1000);
go();
follow({
  told,
  lost: (error) => {
    link.follows = false;
    lost(error);
  },
  alive: (isNew) => {
    link.follows = true;
    settle();
    if (isNew) refreshAll(); // what was missed before
  },
});
