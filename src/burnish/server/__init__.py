"""The studio over HTTP: the API under /api/v1 and the page. `burnish ui` starts it; it imports no workroom."""
