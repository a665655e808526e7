"""The dashboard: its pages, which ask nothing but the public interface, and the sessions of browsers."""
