// graphql.mjs ADDRESS MODEL...: the same streams by graphql-ws and by graphql-sse, then what each of them says of an error.
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const [address, ...models] = process.argv.slice(2);
const STREAM = `subscription ($input: ChatInput, $after: String) {
  chatStream(input: $input, after: $after) { cursor seq content finishReason usage { inputTokens outputTokens } cost }
}`;
const messages = [{ role: "USER", content: "What is the capital of France?" }];
const clients = {
  ws: createWsClient({ url: `${address.replace("http", "ws")}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 }),
  sse: createSseClient({ url: `${address}/graphql`, retryAttempts: 0 }),
};

// The chunks of a stream; its errors, whichever way the client tells them; with `most`, the client leaves after so many.
async function listen(client, variables, most = Infinity) {
  const told = { chunks: [], errors: [] };
  try {
    for await (const result of client.iterate({ query: STREAM, variables })) {
      if (result.errors) told.errors.push(...result.errors.map((error) => error.extensions.code));
      if (result.data) told.chunks.push(result.data.chatStream);
      if (told.chunks.length >= most) break;
    }
  } catch (errors) {
    told.errors.push(...[].concat(errors).map((error) => error.extensions?.code ?? String(error)));
  }
  return told;
}

const facts = {};
for (const [name, client] of Object.entries(clients)) {
  facts[name] = {};
  for (const model of models) facts[name][model] = await listen(client, { input: { model, messages } });
  const options = { onDisconnect: "FINISH" };
  const left = await listen(client, { input: { model: models[0], messages, options } }, 5);
  const rest = await listen(client, { after: left.chunks.at(-1).cursor });
  facts[name].resumed = [...left.chunks, ...rest.chunks];
  facts[name].failed = await listen(client, { input: { model: "plain/sandbox/reset-after-3", messages } });
  facts[name].refused = await listen(client, { input: { model: "nobody/sandbox/chat", messages } });
  client.dispose();
}
process.stdout.write(`${JSON.stringify(facts)}\n`);
await new Promise((left) => process.stdin.on("end", left).resume());
process.exit(0);
