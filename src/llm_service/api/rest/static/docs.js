// Starts the page. A file of its own, because the page's policy allows no script inside it.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null, // nothing is sent to a validator elsewhere
  queryConfigEnabled: false, // no address can make the page read another description
  persistAuthorization: false,
});
