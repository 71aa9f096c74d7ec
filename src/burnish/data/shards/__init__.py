"""Raw rows on disk, every original field kept: written as shards with a manifest, as `fetch` and `clean` give them."""
