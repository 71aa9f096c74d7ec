"""What goes over the wire: requests as models, strict JSON, errors in OpenAI's shape."""
