// Requests to the service: busy answers are tried again, failures become one sentence.

const TRIES = 5;
const UNREACHABLE = "The service does not answer; is it still running?";

/** Tells "unauthorised", "down" and "up". */
export const events = new EventTarget();

class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status; // 0 where nothing answered
  }
}

/** The answer to a request, as JSON; throws a Problem, or an AbortError when the signal says so. */
export async function ask(path, { method = "GET", query = {}, json, bytes, signal } = {}) {
  const request = { method, signal };
  if (json !== undefined) {
    request.headers = { "content-type": "application/json" };
    request.body = JSON.stringify(json);
  } else if (bytes !== undefined) {
    request.headers = { "content-type": "application/octet-stream" };
    request.body = bytes;
  }
  for (let tried = 1; ; tried++) {
    const answer = await send(address(path, query), request);
    if (answer.ok) return answer.json();
    if (answer.status === 429 && tried < TRIES) {
      await pause(seconds(answer) * 2 ** (tried - 1), signal);
      continue;
    }
    const sentence = await detail(answer);
    if (answer.status === 401) events.dispatchEvent(new Event("unauthorised"));
    throw new Problem(sentence, answer.status);
  }
}

export function thumbnail({ key, version }) {
  return address("/v1/thumbnail", { key, version });
}

export function picture({ key, version }, side = 1600) {
  return address("/v1/picture", { key, version, side });
}

function address(path, query) {
  const several = ([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]]);
  const given = Object.entries(query).flatMap(several).filter(([, value]) => value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

async function send(url, request) {
  try {
    const answer = await fetch(url, request);
    events.dispatchEvent(new Event("up"));
    return answer;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    events.dispatchEvent(new Event("down"));
    throw new Problem(UNREACHABLE, 0);
  }
}

async function detail(answer) {
  try {
    const { detail: sentence } = await answer.json();
    return sentence.charAt(0).toUpperCase() + sentence.slice(1);
  } catch {
    return `The service answered with status ${answer.status}.`;
  }
}

const seconds = (answer) => Number(answer.headers.get("retry-after")) || 1;

function pause(duration, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * duration);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
