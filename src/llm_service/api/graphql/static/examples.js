// What the page offers to begin with, each in a tab of its own.
const EXAMPLES = [
  {
    query: `# Who am I, and how is the service?
query Begin {
  me { keyId scopes }
  health { status version sandbox providers { name kind } }
  models { id provider contextTokens price { input output } }
}
`,
  },
  {
    query: `mutation Ask($input: ChatInput!) {
  chat(input: $input) {
    content
    finishReason
    usage { inputTokens outputTokens }
    cost
    provider
    cache
  }
}
`,
    variables: JSON.stringify(
      {
        input: {
          model: "openrouter/openai/gpt-4o-mini",
          messages: [{ role: "USER", content: "What is the capital of France?" }],
        },
      },
      null,
      2,
    ),
  },
  {
    query: `# Piece by piece. With a cursor in place of the input it goes on behind it:
# chatStream(after: "str_0675fd8a.12")
subscription Listen($input: ChatInput) {
  chatStream(input: $input) {
    cursor
    content
    finishReason
    usage { outputTokens }
    cost
  }
}
`,
    variables: JSON.stringify(
      {
        input: {
          model: "openrouter/openai/gpt-4o-mini",
          messages: [{ role: "USER", content: "What is the capital of France?" }],
        },
      },
      null,
      2,
    ),
  },
  {
    query: `# The last requests, and what was spent by model. Needs the scope read or admin.
query Spent {
  generations(first: 10) {
    edges { node { requestId at model status inputTokens outputTokens cost } }
    pageInfo { hasNextPage endCursor }
  }
  usage(groupBy: [MODEL]) {
    total { requests cost }
    edges { node { group { by value } sums { requests cost } } }
  }
}
`,
  },
];
