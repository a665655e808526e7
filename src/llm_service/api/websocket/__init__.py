"""The WebSocket door: many generations over one socket; and the transport under every WebSocket of the service."""
