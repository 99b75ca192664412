// What is shown of one node, and of one event.

import { badge, bytes, clock, day, element, setText, span, when } from "./text.js";

export const isActive = (node) => node.state === "started" || node.state === "dumping";

// A new row of the table, and its cells.
export function newRow(name) {
  const row = element("tr");
  const link = element("a", { href: `#node=${encodeURIComponent(name)}` }, name);
  const cell = (label) => {
    const made = element("td", { "data-label": label });
    row.append(made);
    return made;
  };
  row.append(element("th", { scope: "row" }, link));
  return { row, shown: "", state: cell("State"), since: cell("Since"), heard: cell("Last heard"),
    phase: cell("Phase"), dumped: cell("Dumped"), proof: cell("Proof"), from: cell("From") };
}

// Puts everything of `node` into its row that does not change by itself.
export function fillRow(known, node) {
  known.node = node;
  const { since_ms: _, last_heard_ms: __, ...steady } = node;
  const shown = JSON.stringify(steady);
  if (known.shown === shown) return;
  const before = known.shown === "" ? null : known.row.dataset.state;
  known.shown = shown;
  known.row.dataset.state = node.state;
  known.row.className = before !== null && before !== node.state ? `${node.state} new` : node.state;
  known.state.replaceChildren(badge(node.state));
  known.phase.textContent = node.phase || "";
  known.dumped.replaceChildren(...dumped(node));
  known.proof.textContent = node.proof || "";
  known.from.textContent = node.from || "";
  for (const cell of [known.phase, known.dumped, known.proof, known.from]) {
    cell.dataset.empty = String(cell.childNodes.length === 0);
  }
}

// How much of the dump is done, in words and drawn.
export function dumped(node) {
  if (node.done === undefined) return [];
  if (!node.total) return [bytes(node.done)];
  const part = Math.min(1, node.done / node.total);
  const percent = `${Math.floor(part * 100)} %`;
  const bar = element("progress", { max: "1", value: String(part), "aria-label": `${node.name}: dumped` });
  return [`${percent} of ${bytes(node.total)}`, bar];
}

// Since when a node is as it is, and when it was heard: `older` ms after it was `now`.
export function fillTimes(node, older, now, since, heard) {
  if (node.since_ms === undefined) {
    setText(since, "");
    since.dataset.empty = "true";
    setText(heard, node.state === "unheard" ? "never" : "");
    return;
  }
  since.dataset.empty = "false";
  const begun = now - node.since_ms;
  const begunText = day(begun) === day(Date.now()) ? clock(begun) : `${day(begun)} ${clock(begun)}`;
  twoLines(since, begunText, `${span(node.since_ms + older)} ago`);
  const silence = (node.last_heard_ms || 0) + older;
  const every = node.interval_ms === undefined ? "" : `every ${span(node.interval_ms)}`;
  const late = isActive(node) && silence > 3 * (node.interval_ms || 10000);
  twoLines(heard, `${span(silence)} ago${late ? ", late" : ""}`, every);
  heard.firstElementChild.className = late ? "late" : "";
}

function twoLines(cell, first, second) {
  if (cell.childElementCount !== 2) cell.replaceChildren(element("span"), element("span", { class: "quiet" }));
  setText(cell.firstElementChild, first);
  setText(cell.lastElementChild, second);
}

// A line of a list of events.
export function eventLine(event, withNode, isNew) {
  const line = element("li", isNew ? { class: "new" } : {}, when(event.time_ms), badge(event.kind));
  if (withNode) line.append(element("a", { href: `#node=${encodeURIComponent(event.node)}` }, event.node));
  const more = [];
  if (event.kind === "phase" && event.phase) more.push(event.phase);
  if (event.done !== undefined) more.push(bytes(event.done) + (event.total ? ` of ${bytes(event.total)}` : ""));
  if (event.proof) more.push(event.proof);
  if (event.from) more.push(`from ${event.from}`);
  if (more.length > 0) line.append(element("span", { class: "quiet" }, more.join(", ")));
  return line;
}
