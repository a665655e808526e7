// The official client of OpenAI for JavaScript: an answer, a stream that is left, and tools.
// Start a service (./serve), then: npm install openai; node docs/examples/openai_node.mjs
// LLM_URL and LLM_KEY name another service and a key.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: `${process.env.LLM_URL ?? "http://127.0.0.1:8080"}/v1`,
  apiKey: process.env.LLM_KEY ?? "local",
});
const model = "openrouter/openai/gpt-4o-mini";
const asked = (content) => [{ role: "user", content }];

const { data, response } = await client.chat.completions
  .create({ model, messages: asked("What is 12 * 12?") })
  .withResponse();
console.log("answer:", data.choices[0].message.content);
console.log("cost:", response.headers.get("x-llm-cost-usd"), "USD, by", response.headers.get("x-llm-provider"));

const stream = await client.chat.completions.create({ model, messages: asked("Count to 9."), stream: true });
let pieces = 0;
for await (const chunk of stream) {
  pieces += chunk.choices.length;
  if (pieces >= 3) break; // which closes the connection, and the service ends the call of the provider
}
console.log("stream: left after", pieces, "pieces");

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    parse: JSON.parse,
    function: ({ city }) => `sunny in ${city}`,
  },
};
const runner = client.chat.completions.runTools({ model, messages: asked("What is the weather in Oslo?"), tools: [weather] });
console.log("with tools:", await runner.finalContent());

try {
  await client.chat.completions.create({ model: "nobody/no-such-model", messages: asked("Hello!") });
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  console.log("refused:", error.status, error.code, "request", error.requestID);
}
