// Vercel's AI SDK: text, a stream, a tool that it calls by itself, and embeddings.
// Start a service (./serve), then: npm install ai @ai-sdk/openai-compatible zod; node docs/examples/ai_sdk.mjs
// LLM_URL and LLM_KEY name another service and a key.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const service = createOpenAICompatible({
  name: "llm-service",
  baseURL: `${process.env.LLM_URL ?? "http://127.0.0.1:8080"}/v1`,
  apiKey: process.env.LLM_KEY ?? "local",
  includeUsage: true,
});
const model = service("openrouter/openai/gpt-4o-mini");

const { text, response } = await generateText({ model, prompt: "What is 12 * 12?" });
console.log("text:", text, "- by", response.headers["x-llm-provider"]);

const stream = streamText({ model, prompt: "Count to 9." });
process.stdout.write("stream: ");
for await (const piece of stream.textStream) process.stdout.write(piece);
console.log("\ntokens:", (await stream.usage).outputTokens);

const get_weather = tool({
  description: "The weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const { steps } = await generateText({
  model,
  prompt: "What is the weather in Oslo?",
  tools: { get_weather },
  stopWhen: stepCountIs(3),
});
console.log("with tools:", steps.length, "steps,", steps[0].toolCalls[0].toolName, "-", steps.at(-1).text);

const { embeddings } = await embedMany({
  model: service.embeddingModel("openai/text-embedding-3-small"),
  values: ["one", "two"],
});
console.log("embeddings:", embeddings.length, "vectors");
