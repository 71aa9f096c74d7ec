"""The routes under /api/v1, one file for each noun.

To add a noun, write `server/routes/<noun>.py` with a `router`, and add it to `ROUTERS` in `server/routes/table.py`:

    router = Router(tags=["models"])

    class Model(BaseModel):
        name: str

    @router.get("/models/{name}", scope="read")
    def show_model(name: str, place: Place) -> Model:
        \"\"\"One model of the registry.\"\"\"
        return Model.model_validate(versions.show(name, workspace=place))

A route is at most a dozen lines: parse, call one verb of the studio, answer with a pydantic model. It is a plain `def`
(which runs in a thread) unless it streams. `Place` (`server/routing.py`) is the workspace's folder, `Caller` who asks.
`scope` must be given: `read` (looks), `run` (starts and changes), `admin` (keys, settings), or `open`, which a test
allows to a few routes only. The function's name becomes the operation's name in the generated client; its docstring is
its summary. A BurnishError that a verb raises becomes problem+json (`server/problems.py`); a file that a request names
is found by `core/paths/within.py`. A route whose body may be larger than 1 MiB says so with `most_bytes`.
"""
