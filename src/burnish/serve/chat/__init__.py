"""Conversations of the server: messages to ids by our renderer, and ids to text, reasoning and tool calls."""
