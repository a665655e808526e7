// What every script here does first and last: a client of the service named on the command line, and the facts as JSON.
import OpenAI from "openai";

export const [address, ...models] = process.argv.slice(2);
export const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "local", maxRetries: 0 });
export const messages = [{ role: "user", content: "What is the capital of France?" }];

export function tell(facts) {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

export async function ofEachModel(facts) {
  const told = {};
  for (const model of models) told[model] = await facts(model);
  tell(told);
}
