"""HTTP servers of both planes: bound addresses."""
