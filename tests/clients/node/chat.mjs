// chat.mjs ADDRESS MODEL...: the same question asked for a whole answer and for a stream.
import { client, messages, ofEachModel } from "./service.mjs";

async function streamed(model) {
  const stream = await client.chat.completions.create({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  const told = { content: "", finish_reasons: [], usages: [], chunks: 0 };
  for await (const chunk of stream) {
    told.chunks += 1;
    for (const choice of chunk.choices) {
      told.content += choice.delta.content ?? "";
      if (choice.finish_reason) told.finish_reasons.push(choice.finish_reason);
    }
    if (chunk.usage) told.usages.push(chunk.usage);
  }
  return told;
}

await ofEachModel(async (model) => ({
  whole: await client.chat.completions.create({ model, messages }),
  streamed: await streamed(model),
}));
