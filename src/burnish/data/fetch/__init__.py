"""Rows from elsewhere: hubs, URLs and archives, each read as it comes or downloaded with resume, and checked."""
