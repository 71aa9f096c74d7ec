"""Rows made by a language model: the requests that are sent, what of the replies is used, and the rows of them.

No reply is requested here: `stages/data/synthesizing` does that.
"""
