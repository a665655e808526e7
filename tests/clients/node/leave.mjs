// leave.mjs ADDRESS MODEL: aborts in mid-stream and stays alive until its input ends, so that nothing but the abort closes the connection.
import { client, messages, models, tell } from "./service.mjs";

const stream = await client.chat.completions.create({ model: models[0], messages, stream: true });
let chunks = 0;
for await (const _ of stream) {
  chunks += 1;
  if (chunks === 3) stream.controller.abort();
}
tell({ chunks });
await new Promise((left) => process.stdin.on("end", left).resume());
