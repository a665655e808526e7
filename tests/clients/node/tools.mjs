// tools.mjs ADDRESS MODEL...: tool calls, whole and put together by the client's own helper for streams.
import { client, messages, ofEachModel } from "./service.mjs";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const wanted = { tools: [weather], tool_choice: "required" };

await ofEachModel(async (model) => ({
  wanted,
  whole: await client.chat.completions.create({ model, messages, ...wanted }),
  streamed: await client.chat.completions.stream({ model, messages, ...wanted }).finalChatCompletion(),
}));
