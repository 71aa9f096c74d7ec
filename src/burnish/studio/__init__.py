"""The functions behind every interface: command line, HTTP, web page, Python.

`burnish.run(...)` is `burnish.studio.running.run`. None of them imports torch.
"""
