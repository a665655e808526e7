// errors.mjs ADDRESS MODEL...: which of the client's error classes an error becomes, before the stream and in it.
import OpenAI from "openai";
import { client, messages, ofEachModel } from "./service.mjs";

async function errorOf(model, stream) {
  let chunks = 0;
  try {
    const answer = await client.chat.completions.create({ model, messages, stream });
    if (stream) for await (const _ of answer) chunks += 1;
    return null;
  } catch (error) {
    const { status, code, type, requestID } = error;
    return { class: error.constructor.name, known: error instanceof OpenAI.APIError, status, code, type, requestID, chunks };
  }
}

await ofEachModel(async (model) => ({ whole: await errorOf(model, false), streamed: await errorOf(model, true) }));
