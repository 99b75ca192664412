// The dumps of a node, drawn.

import { clock, day, drawn, span } from "./text.js";

const DUMPS = 8; // so many are drawn
const ENDS = ["finished", "lost", "rebooted"];

// The dumps of the node, the newest first; the events of each in the order in which they happened.
function dumps(past) {
  const found = new Map();
  for (const event of past) {
    if (!found.has(event.session)) found.set(event.session, []);
    found.get(event.session).unshift(event);
  }
  return [...found.values()].slice(0, DUMPS);
}

// Draws the dumps of `node` into `place`, from what is known of its `past`, newest first; it is `now`.
export function drawTimeline(place, node, past, now) {
  const all = dumps(past);
  if (all.length === 0) { place.replaceChildren(); return; }
  const spans = all.map((events) => {
    const begin = events[0].time_ms;
    const last = events[events.length - 1];
    const over = ENDS.includes(last.kind);
    // Only the newest can still go on.
    const end = over || events !== all[0] ? last.time_ms : Math.max(now, last.time_ms);
    return { events, begin, end, last, over };
  });
  const longest = Math.max(10000, ...spans.map(({ begin, end }) => end - begin));
  const width = Math.max(260, Math.floor(place.clientWidth) - 2);
  const [left, right, rowHeight] = [12, 16, 50];
  const height = spans.length * rowHeight + 34;
  const x = (ms) => left + (ms / longest) * (width - left - right);
  const told = spans.map(({ begin, end, last, over }) => `${day(begin)} ${clock(begin)}: ${span(end - begin)}, ` +
    (over ? last.kind : "goes on"));
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  picture.append(drawn("title", {}, `Dumps of ${node}. ${told.join("; ")}.`));
  for (const at of ticks(longest, width)) {
    picture.append(drawn("line", { x1: x(at), x2: x(at), y1: 6, y2: height - 26 }));
    const anchor = at === 0 ? "start" : "middle";
    picture.append(drawn("text", { x: x(at), y: height - 9, class: "quiet", "text-anchor": anchor }, at === 0 ? "0" : span(at)));
  }
  spans.forEach(({ events, begin, end }, row) => {
    const y = row * rowHeight + 8;
    picture.append(drawn("text", { x: left, y: y + 14 }, told[row]));
    let state = "started";
    events.forEach((event, place) => {
      if (event.kind === "dumping" || event.kind === "phase") state = "dumping";
      const until = place + 1 < events.length ? events[place + 1].time_ms : end;
      const [from, to] = [x(event.time_ms - begin), x(until - begin)];
      if (to > from && !ENDS.includes(event.kind)) {
        picture.append(drawn("rect", { class: state, x: from, y: y + 24, width: to - from, height: 10, rx: 2 }));
      }
    });
    for (const event of events) {
      const dot = drawn("circle", { class: event.kind, cx: x(event.time_ms - begin), cy: y + 29, r: 6 });
      dot.append(drawn("title", {}, `${clock(event.time_ms)} ${event.kind}${event.phase ? ` (${event.phase})` : ""}`));
      picture.append(dot);
    }
  });
  place.replaceChildren(picture);
}

// Round times, so many as have room for their words.
function ticks(longest, width) {
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const most = Math.max(2, Math.floor(width / 110));
  let step = (seconds.find((step) => longest / (step * 1000) <= most) || 86400) * 1000;
  while (longest / step > most) step *= 2;
  const found = [];
  for (let at = 0; at <= longest; at += step) found.push(at);
  return found;
}
