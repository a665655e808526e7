// others.mjs ADDRESS MODEL: embeddings and the list of models.
import { client, models, tell } from "./service.mjs";

const model = models[0];
const embeddings = await client.embeddings.create({ model, input: ["a", "b"] });
const listed = [];
for await (const entry of client.models.list()) listed.push(entry.id);
tell({
  embeddings: embeddings.data.map(({ index, embedding }) => ({ index, embedding })),
  listed,
  retrieved: (await client.models.retrieve(listed[0])).id,
});
