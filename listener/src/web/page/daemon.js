// The conversation with the daemon.

const SILENCE = 15000; // ms without a sign of the daemon: the connection is lost
const AGAIN = 2000; // ms until the next attempt

let token = sessionStorage.getItem("token") || "";
let lastId = "";
let wake = () => {};

export class Refused extends Error {}

export const hasToken = () => token !== "";

// Shows `given` from now on, and tries again at once.
export function setToken(given) {
  token = given;
  sessionStorage.setItem("token", token);
  wake();
}

async function ask(path, options = {}) {
  const shown = token;
  const headers = { ...options.headers };
  if (shown) headers.Authorization = `Bearer ${shown}`;
  const response = await fetch(path, { cache: "no-store", ...options, headers });
  if (response.status !== 401) return response;
  // What is said of a token that was replaced meanwhile says nothing of the new one.
  if (shown !== token) return ask(path, options);
  throw new Refused("the token is not right");
}

export async function askJson(path) {
  const stop = AbortSignal.timeout(12000);
  const response = await ask(path, { signal: stop });
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error(answer.detail || response.statusText);
    error.status = response.status;
    throw error;
  }
  return answer;
}


const pause = (ms) => new Promise((done) => { wake = done; setTimeout(done, ms); });

// Follows the events for good. Server-sent events are read here, since an EventSource can show no token.
// `told` is given each event, or null when events are missing; `alive` is called at each sign of the
// daemon, with true when the connection is new; `lost` when it is lost, with the reason.
export async function follow({ told, alive, lost }) {
  for (;;) {
    const stop = new AbortController();
    let timer = 0;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENCE);
    };
    let patience = AGAIN;
    try {
      wait();
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const response = await ask("api/v1/events", { headers, signal: stop.signal });
      if (!response.ok) throw new Error((await response.json()).detail);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      alive(true);
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Error("it has ended");
        wait();
        alive(false);
        rest += value;
        const frames = rest.split("\n\n");
        rest = frames.pop();
        for (const frame of frames) heed(frame, told);
      }
    } catch (error) {
      stop.abort();
      // Without the right token, another attempt makes no sense before there is another.
      if (error instanceof Refused) patience = 3600000;
      lost(error);
    } finally {
      clearTimeout(timer);
    }
    await pause(patience);
  }
}

function heed(frame, told) {
  let name = "message";
  let data = "";
  for (const line of frame.split("\n")) {
    if (line.startsWith("id: ")) lastId = line.slice(4);
    else if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (name === "reload") told(null);
  else if (data !== "") told(JSON.parse(data));
}

export function reason(error) {
  if (error.name === "AbortError") return "no sign of it for too long";
  if (error.name === "TimeoutError") return "it does not answer";
  if (error instanceof TypeError) return "it cannot be reached";
  return error.message;
}
