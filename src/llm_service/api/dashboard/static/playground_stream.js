// A streamed answer, event by event, and the facts that come with it.

import { open } from "./api.js";

const BROKEN = "The connection broke off before the answer was complete.";

/** The events of an SSE body: `{id, data}`; comments are left out. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw error.name === "AbortError" ? error : new Error(BROKEN);
      });
      if (done) return;
      const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) yield parsed(block);
    }
  } finally {
    reader.releaseLock();
  }
}

function parsed(block) {
  const event = { id: null, data: "" };
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
    if (name === "id") event.id = value;
    if (name === "data") event.data += value;
  }
  return event;
}

/** What the head of an answer says of it. */
export function factsOf(response) {
  const header = (name) => response.headers.get(name);
  return {
    request_id: header("x-request-id"),
    stream_id: header("x-llm-stream-id"),
    provider: header("x-llm-provider"),
    model: header("x-llm-model"),
    cache: header("x-llm-cache"),
    attempts: header("x-llm-attempts"),
    cost_usd: header("x-llm-cost-usd"),
    cost_source: header("x-llm-cost-source"),
    stages: stagesOf(header("server-timing") ?? ""),
  };
}

/** `[[name, ms]]` of a Server-Timing header. */
export function stagesOf(header) {
  return header
    .split(",")
    .map((one) => /^\s*([\w-]+).*?;dur=([\d.]+)/.exec(one))
    .filter(Boolean)
    .map(([, name, length]) => [name, Number(length)]);
}

/**
 * Reads an answer to its end: `heard({text, thought, facts, usage, finish, cursor})` as it comes, each with what is new.
 * Throws what the stream ended with, if that was an error.
 */
export async function listenTo(method, path, options, heard) {
  const response = await open(method, path, options);
  heard({ facts: factsOf(response) });
  if (!(response.headers.get("content-type") ?? "").includes("event-stream")) {
    whole(await response.json(), heard);
    return;
  }
  let done = false;
  for await (const event of events(response.body)) {
    if (event.data === "[DONE]") done = true;
    if (event.data === "" || event.data === "[DONE]") continue;
    const chunk = JSON.parse(event.data);
    if (chunk.error) throw Object.assign(new Error(chunk.error.message), { code: chunk.error.code });
    const choice = chunk.choices?.[0];
    const { request_id, stream_id, provider, model, cache, attempts, cost_usd, cost_source } = chunk.llm ?? {};
    heard({
      text: choice?.delta?.content ?? "",
      thought: choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "",
      finish: choice?.finish_reason ?? null,
      usage: chunk.usage ?? null,
      facts: chunk.llm ? { request_id, stream_id, provider, model, cache, attempts, cost_usd, cost_source } : null,
      cursor: event.id,
    });
  }
  if (!done) throw new Error(BROKEN);
}

function whole(answer, heard) {
  const { message, finish_reason } = answer.choices[0];
  heard({ text: message.content ?? "", thought: message.reasoning_content ?? message.reasoning ?? "", finish: finish_reason, usage: answer.usage });
}
