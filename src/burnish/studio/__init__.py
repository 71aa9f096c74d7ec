"""The typed verbs that every face calls: the command line, HTTP, the page, a notebook.

`burnish.run(...)` in Python is `burnish.studio.running.run`. None of them imports torch.
"""
