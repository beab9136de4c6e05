"""Questions about networks, stated as kernel queries: trusted to mean what they say."""
