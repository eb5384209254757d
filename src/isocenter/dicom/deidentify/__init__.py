"""Objects taken apart and put together again, element by element, as rules of others say."""
