"""Metrics while a run goes, the summary when it ends, and the page a person looks at."""
