"""Search, by asking the search service (sptar_engine.serving): the web process holds neither Java nor a model."""
