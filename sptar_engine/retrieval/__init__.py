"""BM25 by Lucene and exact dense search."""
