// Ask a model, see the answer come, and what it cost and took.

import { ask, get, may } from "./api.js";
import { badge, button, empty, facts, field, h, panel, said, select, unseen } from "./dom.js";
import * as format from "./format.js";
import { listenTo } from "./playground_stream.js";
import { to } from "./router.js";

const KEPT = "llm-playground";
const LEAST_MS = 0.005;
const CACHES = [["", "as usual"], ["no-cache", "ask anew"], ["no-store", "keep nothing"], ["only-if-cached", "only if kept"]];

export default {
  title: "Playground",
  lead: "Ask a model through the service, as an application would. What is asked here is recorded and paid for.",
  needs: ["POST /v1/chat/completions"],

  async open(view) {
    const model = h("input", { name: "model", list: "playground-models", required: true, autocomplete: "off", spellcheck: "false", value: view.query.model ?? "", placeholder: "provider/model" });
    const models = h("datalist", { id: "playground-models" });
    const system = h("textarea", { name: "system", rows: "2", placeholder: "You are a helpful assistant." });
    const prompt = h("textarea", { name: "prompt", rows: "3", required: true, placeholder: "What would you like to ask?" });
    const number = (name, props) => h("input", { name, type: "number", placeholder: "default", inputmode: "decimal", ...props });
    const temperature = number("temperature", { min: "0", max: "2", step: "0.1" });
    const cap = number("max_tokens", { min: "1", step: "1" });
    const cache = select(CACHES, "");
    const stream = h("input", { type: "checkbox", checked: true });
    const send = h("button", { type: "submit", class: "button primary" }, "Send");
    const stop = button("Stop", () => leave(), { hidden: true, kind: "danger-plain" });
    const clear = button("New conversation", () => begin());
    const talk = h("div", { class: "talk", role: "log", "aria-label": "Conversation", tabindex: "0" });
    const state = h("p", { class: "unseen", role: "status" });
    const told = h("div", { class: "stack" });
    const params = h(
      "div",
      { class: "stack-s" },
      field("Model", model),
      models,
      field("System prompt", system),
      h("div", { class: "pair" }, field("Temperature", temperature), field("Output cap", cap)),
      field("Cache", cache),
      h("label", { class: "check" }, stream, h("span", null, "Stream the answer")),
    );
    const form = h("form", { class: "compose" }, field("Message", prompt), h("div", { class: "compose-actions" }, h("span", { class: "note" }, "Ctrl + Enter sends"), clear, stop, send));
    view.body.append(h("div", { class: "playground" }, panel("Request", {}, params), h("section", { class: "panel talk-panel", "aria-label": "Conversation" }, talk, state, form), panel("Answer", {}, told)));

    let messages = [];
    let running = null;

    function begin() {
      messages = [];
      forget();
      talk.replaceChildren(empty("Nothing said yet", "The answer appears here as it comes."));
      told.replaceChildren(h("p", { class: "note" }, "Provider, cost, cache and timings of the answer appear here."));
    }

    function bubble(role, text = "") {
      talk.querySelector(".empty")?.remove();
      const words = h("div", { class: "words" }, text);
      const thought = h("details", { class: "thought", hidden: true }, h("summary", null, "Reasoning"), h("div", { class: "words" }));
      const made = h("article", { class: `said-by ${role}` }, h("p", { class: "who-said" }, role === "user" ? "You" : role === "assistant" ? "Model" : "Failure"), role === "assistant" ? thought : null, words);
      talk.append(made);
      talk.scrollTop = talk.scrollHeight;
      return { words, thought, made };
    }

    async function say(text) {
      messages.push({ role: "user", content: text });
      bubble("user", text);
      const conversation = system.value.trim() ? [{ role: "system", content: system.value.trim() }, ...messages] : messages;
      const body = { model: model.value.trim(), messages: conversation, stream: stream.checked };
      if (stream.checked) body.stream_options = { include_usage: true };
      if (temperature.value) body.temperature = Number(temperature.value);
      if (cap.value) body.max_tokens = Number(cap.value);
      // What runs goes on while the page is left for a moment; Stop ends it for good.
      const headers = { "x-llm-on-disconnect": "finish", ...(cache.value ? { "cache-control": cache.value } : {}) };
      await hear("POST", "/v1/chat/completions", { body, headers }, { text: "", thought: "" });
    }

    /** Shows an answer while it comes; `sofar`: what was heard of it before. */
    async function hear(method, path, options, sofar) {
      const shown = bubble("assistant", sofar.text);
      const begun = performance.now();
      const answer = { text: sofar.text, thought: sofar.thought, facts: {}, usage: null, finish: null, first: null };
      running = { abort: new AbortController(), answer };
      send.disabled = true;
      stop.hidden = false;
      shown.made.classList.add("coming");
      state.textContent = "The answer is coming.";
      try {
        await listenTo(method, path, { ...options, signal: AbortSignal.any([running.abort.signal, view.signal]) }, (heard) => {
          if (heard.facts) Object.assign(answer.facts, Object.fromEntries(Object.entries(heard.facts).filter(([, value]) => value !== null && value !== undefined)));
          if (answer.first === null && (heard.text || heard.thought)) answer.first = performance.now() - begun;
          answer.text += heard.text ?? "";
          answer.thought += heard.thought ?? "";
          answer.usage = heard.usage ?? answer.usage;
          answer.finish = heard.finish ?? answer.finish;
          answer.cursor = heard.cursor ?? answer.cursor;
          draw(shown, answer);
          keep(answer);
          if (heard.facts) tell(answer, performance.now() - begun, false);
        });
        messages.push({ role: "assistant", content: answer.text });
        tell(answer, performance.now() - begun, true);
        state.textContent = `The answer is complete: ${answer.text}`;
      } catch (error) {
        if (view.signal.aborted) return;
        const stopped = error.name === "AbortError" || error.code === "stream_cancelled";
        if (stopped) shown.words.append(" ", badge("stopped"));
        else bubble("failure", said(error.message));
        if (!stopped && !answer.text && !answer.thought) shown.made.remove();
        if (answer.text) messages.push({ role: "assistant", content: answer.text });
        else if (!stopped) takeBack();
        tell(answer, performance.now() - begun, true);
        state.textContent = stopped ? "The answer was stopped." : error.message;
      } finally {
        if (!view.signal.aborted) {
          shown.made.classList.remove("coming");
          running = null;
          send.disabled = false;
          stop.hidden = true;
          forget();
        }
      }
    }

    /** Nothing was answered: the question is no part of the conversation, and can be asked again. */
    function takeBack() {
      const last = messages.at(-1);
      if (last?.role !== "user") return;
      messages.pop();
      if (prompt.value === "") prompt.value = last.content;
    }

    function draw(shown, answer) {
      const below = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
      shown.words.textContent = answer.text;
      shown.thought.hidden = answer.thought === "";
      shown.thought.lastChild.textContent = answer.thought;
      if (below) talk.scrollTop = talk.scrollHeight;
    }

    async function leave() {
      if (running === null) return;
      const { abort, answer } = running;
      const id = answer.facts.stream_id;
      if (id && may("DELETE /v1/streams/{id}")) {
        try {
          await ask("DELETE", `/v1/streams/${id}`);
          return;
        } catch {
          // It has ended by itself meanwhile, or cannot be asked: to hang up is what is left.
        }
      }
      abort.abort();
    }

    function tell(answer, lasted, over) {
      const { facts: known, usage } = answer;
      told.replaceChildren(
        facts([
          ["Provider", known.provider],
          ["Model", known.model && h("code", null, known.model)],
          ["Cost", known.cost_usd ? h("span", { title: `${known.cost_usd} USD` }, `${format.usd(known.cost_usd)} (${known.cost_source})`) : over ? null : "…"],
          ["Cache", known.cache && badge(known.cache, known.cache === "miss" ? "plain" : "good")],
          ["Attempts", known.attempts],
          ["Input", usage && format.plural(usage.prompt_tokens, "token")],
          ["Output", usage && format.plural(usage.completion_tokens ?? 0, "token")],
          ["First chunk", format.milliseconds(answer.first)],
          ["In all", over ? format.milliseconds(lasted) : "…"],
          ["Ended with", answer.finish],
          ["Record", known.request_id && may("GET /v1/generations/{id}") ? h("a", { href: to("generations", known.request_id) }, "Show", unseen(" the record")) : known.request_id],
        ]),
        known.stages?.length ? h("div", { class: "stack-s" }, h("h3", null, "Server-Timing"), stages(known.stages)) : "",
      );
    }

    // -- what a reload finds again

    function keep(answer) {
      if (!answer.facts.stream_id || !answer.cursor) return;
      try {
        sessionStorage.setItem(KEPT, JSON.stringify({ id: answer.facts.stream_id, cursor: answer.cursor, text: answer.text, thought: answer.thought, messages, model: model.value }));
      } catch {
        // Storage is full or forbidden: a reload loses the answer, nothing else.
      }
    }

    function forget() {
      try {
        sessionStorage.removeItem(KEPT);
      } catch {
        // Forbidden: then nothing was kept.
      }
    }

    function found() {
      try {
        return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
      } catch {
        return null;
      }
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = prompt.value.trim();
      if (running !== null || !text) return;
      if (!model.value.trim()) {
        model.focus();
        return;
      }
      prompt.value = "";
      say(text);
    });
    prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });

    const left = found();
    begin();
    if (left !== null && may("GET /v1/streams/{id}")) {
      messages = left.messages;
      model.value = left.model;
      for (const one of messages) bubble(one.role, one.content);
      hear("GET", `/v1/streams/${left.id}`, { query: { after: left.cursor } }, left);
    }
    if (may("GET /v1/models")) {
      try {
        const { data } = await get("/v1/models", {}, view.signal);
        models.append(...data.map((one) => h("option", { value: one.id }, one.name ?? "")));
        if (!model.value) model.value = data.find((one) => /flash|mini|fast/.test(one.id))?.id ?? data[0]?.id ?? "";
      } catch {
        // The name can be typed all the same.
      }
    }
  },
};

function stages(list) {
  const most = Math.max(...list.map(([, length]) => length), 0.001);
  return h(
    "ul",
    { class: "stages" },
    list.filter(([, length]) => length >= LEAST_MS).map(([name, length]) => {
      const bar = h("span", { class: "meter-bar" });
      bar.style.width = `${Math.max((length / most) * 100, 1)}%`;
      return h("li", null, h("span", null, name), h("span", { class: "meter", "aria-hidden": "true" }, bar), h("span", { class: "share-value" }, `${length.toFixed(2)} ms`));
    }),
  );
}
