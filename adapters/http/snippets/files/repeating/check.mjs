import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";

const address = "BASE_URL/v1/check/liveness";
const key = "YOUR_API_KEY";
const attempts = 5;
const longest = 60; // seconds that are waited at a time

// Sends a check once. A status of 0 says that there was no answer.
async function send(body, id) {
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { "X-API-Key": key, "Content-Type": "application/json", "Idempotency-Key": id },
      body,
      signal: AbortSignal.timeout(60_000),
    });
    const answer = (await response.json().catch(() => null)) ?? {}; // empty when a proxy has written it, or it is cut short
    return { status: response.status, seconds: Number(response.headers.get("retry-after") ?? 0), answer };
  } catch (broken) {
    return { status: 0, seconds: 0, answer: { error: { code: "no_answer", message: String(broken) } } };
  }
}

// Sends a photo until there is an answer that a repetition would not change.
async function check(photo) {
  const body = JSON.stringify({ image: photo.toString("base64"), image_format: "jpeg" });
  const id = randomUUID(); // one for each photo, the same for its repetitions
  for (let attempt = 0; ; attempt++) {
    const { status, seconds, answer } = await send(body, id);
    const { isFakeFace, isValidFace } = answer.data ?? {};
    // Only booleans are a verdict: one that is missing or null would read as a live face.
    if (status === 200 && typeof isFakeFace === "boolean" && typeof isValidFace === "boolean") return answer.data;
    const { code = "no_verdict", message = "There is no verdict." } = answer.error ?? {};
    const again = [0, 200, 408, 500, 502, 503, 504].includes(status) || code === "rate_limited";
    if (!again || attempt === attempts - 1) throw new Error(`${status} ${code}: ${message}`);
    await wait(1000 * Math.min(seconds || 2 ** attempt, longest));
  }
}

const verdict = await check(await readFile("face.jpg"));
console.log(!verdict.isFakeFace && verdict.isValidFace ? "a live face" : "ask for another photo");
