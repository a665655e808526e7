"""The diagrams of docs/explanation: boxes and arrows, drawn as SVG that needs nothing but itself."""
