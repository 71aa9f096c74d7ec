"""`python -m burnish.server.schema` prints the OpenAPI schema, from which `web/` makes its client. No server starts."""

import json
import sys
from pathlib import Path

from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings

if __name__ == "__main__":
    json.dump(schema_of(make_app(Settings(Path.cwd()))), sys.stdout, indent=1, sort_keys=True)
    print()
