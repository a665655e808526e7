// Starts the page. A file of its own, because the page's policy allows no script inside it.
const ADDRESS = "/graphql";

// Whole answers as JSON; subscriptions as server-sent events, read from the same address.
async function ask({ operationName, ...parameters }, options) {
  const operations = operationsOf(parameters.query);
  const chosen = operations.find((one) => one.name === operationName) ?? operations[0];
  const response = await fetch(ADDRESS, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: chosen?.kind === "subscription" ? "text/event-stream" : "application/graphql-response+json",
      ...options?.headers,
    },
    body: JSON.stringify(chosen?.name ? { ...parameters, operationName: chosen.name } : parameters),
  });
  const streams = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  return streams ? results(response.body) : response.json();
}

// By the text alone: for a moment after a tab is chosen, GraphiQL still gives the names of the one before.
function operationsOf(text) {
  const found = text.matchAll(/^\s*(query|mutation|subscription)\b[ \t]*(\w*)/gm);
  return [...found].map(([, kind, name]) => ({ kind, name }));
}

async function* results(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (event.startsWith("event: next") && data) yield JSON.parse(data.slice(6));
      }
    }
  } finally {
    await reader.cancel();
  }
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: ask,
    defaultTabs: EXAMPLES,
    defaultEditorToolsVisibility: "variables",
    shouldPersistHeaders: false,
  }),
);
