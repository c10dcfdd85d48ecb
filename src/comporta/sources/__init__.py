"""The APIs records come from: one adapter per source, all over the one ``http.Transport``."""
